import { take } from "@brandos/sdk";
import { Alert, Button, Code, CopyButton, Select, TextInput } from "@mantine/core";
import { useState } from "react";
import { newId } from "../../ui/ids.ts";
import { useApi, useChange, usePages } from "../api.tsx";
import { Ask } from "../parts/Ask.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Status, Time, words } from "../parts/show.tsx";

const touches = [["keys"]] as const;

/** The keys of the brand. */
export function KeysRoom() {
  const api = useApi();
  const [issued, setIssued] = useState<string>();
  const { query, items } = usePages(["keys"], (cursor) =>
    take(api.GET("/v1/api-keys", { params: { query: { cursor, limit: 50 } } })),
  );
  const show = ({ key }: { readonly key: string }) => setIssued(key);
  const rotate = useChange({
    run: (id: string) =>
      take(
        api.POST("/v1/api-keys/{id}/rotate", {
          params: { path: { id } },
          body: { newId: newId(), overlapSeconds: 3_600 },
        }),
      ),
    done: "Rotated: the old key works one hour more",
    touches,
    onDone: show,
  });
  const revoke = useChange({
    run: (id: string) => take(api.DELETE("/v1/api-keys/{id}", { params: { path: { id } } })),
    done: "Revoked",
    touches,
  });
  return (
    <Page title="API keys" actions={<CreateKey onIssued={show} />}>
      {issued && <Issued secret={issued} close={() => setIssued(undefined)} />}
      <Panel flush>
        <DataTable
          label="API keys"
          rows={items}
          rowKey={(key) => key.id}
          state={query}
          empty={{ title: "No keys" }}
          columns={[
            { name: "Name", cell: (key) => <b>{key.name}</b>, sort: (key) => key.name },
            { name: "Kind", cell: (key) => words(key.kind), sort: (key) => key.kind },
            { name: "Ends in", cell: (key) => <span className="mono">…{key.hint}</span> },
            {
              name: "May",
              minor: true,
              cell: (key) =>
                key.permissions.includes("*") ? "everything" : key.permissions.join(", "),
            },
            {
              name: "Last used",
              cell: (key) => (key.lastUsedAt ? <Time at={key.lastUsedAt} /> : "never"),
              right: true,
              minor: true,
            },
            {
              name: "Created",
              cell: (key) => <Time at={key.createdAt} />,
              right: true,
              minor: true,
            },
            {
              name: "",
              right: true,
              cell: (key) =>
                key.revokedAt ? (
                  <Status value="revoked" />
                ) : (
                  <span className="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                    <Ask
                      label="Rotate"
                      size="compact-sm"
                      title={`Rotate “${key.name}”?`}
                      confirm="Make a new key"
                      onConfirm={() => rotate.mutateAsync(key.id)}
                    >
                      <p className="muted">The old key works one hour more.</p>
                    </Ask>
                    <Ask
                      label="Revoke"
                      size="compact-sm"
                      title={`Revoke “${key.name}”?`}
                      confirm="Revoke"
                      danger
                      onConfirm={() => revoke.mutateAsync(key.id)}
                    >
                      <p className="muted">Whoever uses it is refused from now on.</p>
                    </Ask>
                  </span>
                ),
            },
          ]}
        />
      </Panel>
    </Page>
  );
}

function Issued({ secret, close }: { readonly secret: string; readonly close: () => void }) {
  return (
    <Alert color="fjord" title="The new key" mb="md" withCloseButton onClose={close}>
      <p>It is shown once: copy it now.</p>
      <div className="row">
        <Code>{secret}</Code>
        <CopyButton value={secret}>
          {({ copied, copy }) => (
            <Button size="compact-sm" variant="default" onClick={copy}>
              {copied ? "Copied" : "Copy"}
            </Button>
          )}
        </CopyButton>
      </div>
    </Alert>
  );
}

function CreateKey({ onIssued }: { readonly onIssued: (issued: { key: string }) => void }) {
  const api = useApi();
  const [name, setName] = useState("");
  const [kind, setKind] = useState<"secret" | "publishable">("secret");
  const [permissions, setPermissions] = useState("*");
  const create = useChange({
    run: () =>
      take(
        api.POST("/v1/api-keys", {
          body: {
            id: newId(),
            kind,
            name,
            ...(kind === "secret"
              ? { permissions: permissions.split(/[\s,]+/).filter(Boolean) }
              : {}),
          },
        }),
      ),
    done: "Created",
    touches,
    onDone: onIssued,
  });
  return (
    <Ask
      label="Create a key"
      variant="filled"
      title="Create a key"
      confirm="Create"
      onConfirm={() => create.mutateAsync(undefined)}
    >
      <TextInput
        label="Name"
        required
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <Select
        label="Kind"
        data={[
          { value: "secret", label: "Secret, for servers" },
          { value: "publishable", label: "Publishable, for shops" },
        ]}
        value={kind}
        onChange={(value) => value && setKind(value as typeof kind)}
        allowDeselect={false}
      />
      {kind === "secret" && (
        <TextInput
          label="Permissions"
          description="* for everything, or a list such as orders:read, catalog:write"
          value={permissions}
          onChange={(event) => setPermissions(event.currentTarget.value)}
        />
      )}
    </Ask>
  );
}
