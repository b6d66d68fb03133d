import { take } from "@brandos/sdk";
import { Button, Tabs, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useApi, useChange } from "../api.tsx";
import { useLive } from "../live.tsx";
import { DataTable } from "../parts/DataTable.tsx";
import { Page, Panel } from "../parts/Page.tsx";
import { Json, Status, Time } from "../parts/show.tsx";
import type { DeadEvent, LoggedEvent, Subscription } from "../types.ts";

/** The event log as it grows, and who reads it. */
export function EventsRoom() {
  return (
    <Page title="Events" hint="Everything that happens is written down here first">
      <Tabs defaultValue="tail" keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="tail">Live tail</Tabs.Tab>
          <Tabs.Tab value="subscriptions">Subscriptions</Tabs.Tab>
          <Tabs.Tab value="dead">Dead letters</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="tail">
          <Tail />
        </Tabs.Panel>
        <Tabs.Panel value="subscriptions">
          <Subscriptions />
        </Tabs.Panel>
        <Tabs.Panel value="dead">
          <DeadEvents />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function Tail() {
  const { events, state } = useLive();
  const [filter, setFilter] = useState("");
  const [frozen, setFrozen] = useState<readonly LoggedEvent[]>();
  const word = filter.trim().toLowerCase();
  const shown = (frozen ?? events).filter(
    ({ type, stream }) => type.includes(word) || stream.includes(word),
  );
  return (
    <>
      <div className="filters">
        <TextInput
          type="search"
          aria-label="Filter events"
          placeholder="Type or stream"
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value)}
        />
        <Button variant="default" onClick={() => setFrozen(frozen ? undefined : events)}>
          {frozen ? "Go on" : "Pause"}
        </Button>
      </div>
      <Panel flush>
        {shown.length === 0 ? (
          <div className="nothing">
            <strong>{state === "open" ? "Listening" : "Connecting …"}</strong>
            Events appear here as they happen.
          </div>
        ) : (
          <ul className="feed" aria-label="Events">
            {shown.map((event) => (
              <li key={event.id}>
                <details className="grow">
                  <summary>
                    <b>{event.type}</b> <span className="muted mono">{event.stream}</span>
                  </summary>
                  <Json value={event} />
                </details>
                <Time at={event.recordedAt} />
              </li>
            ))}
          </ul>
        )}
      </Panel>
    </>
  );
}

function Subscriptions() {
  const api = useApi();
  const subscriptions = useQuery({
    queryKey: ["subscriptions"],
    queryFn: async () =>
      (await take(api.GET("/v1/subscriptions"))).items as readonly Subscription[],
    refetchInterval: 5_000,
  });
  return (
    <Panel flush>
      <DataTable
        label="Subscriptions"
        rows={subscriptions.data ?? []}
        rowKey={({ name, database }) => `${database}/${name}`}
        state={subscriptions}
        empty={{ title: "Nobody subscribes" }}
        columns={[
          {
            name: "Subscription",
            cell: ({ name, paused }) => (
              <>
                <b>{name}</b> {paused && <Status value="paused" />}
              </>
            ),
            sort: ({ name }) => name,
          },
          { name: "Database", cell: ({ database }) => database, minor: true },
          {
            name: "Behind",
            right: true,
            sort: ({ lagEvents }) => lagEvents,
            cell: ({ lagEvents, lagSeconds }) =>
              lagEvents === 0 ? "up to date" : `${lagEvents} events, ${lagSeconds.toFixed(1)} s`,
          },
          { name: "Waiting", cell: ({ waiting }) => waiting, right: true, minor: true },
          { name: "Dead", cell: ({ dead }) => dead, right: true },
        ]}
      />
    </Panel>
  );
}

function DeadEvents() {
  const api = useApi();
  const dead = useQuery({
    queryKey: ["dead-events"],
    queryFn: async () => {
      const answer = await take(
        api.GET("/v1/subscriptions/dead-letters", { params: { query: { limit: 100 } } }),
      );
      return answer.items as readonly DeadEvent[];
    },
  });
  const replay = useChange({
    run: ({ subscription: name, eventId: id }: DeadEvent) =>
      take(
        api.POST("/v1/subscriptions/{name}/dead-letters/{id}/replay", {
          params: { path: { name, id } },
        }),
      ),
    done: "Handed over again",
    touches: [["dead-events"], ["subscriptions"]],
  });
  return (
    <Panel flush>
      <DataTable
        label="Dead events"
        rows={dead.data ?? []}
        rowKey={({ subscription, eventId }) => `${subscription}/${eventId}`}
        state={dead}
        empty={{
          title: "No dead letters",
          hint: "Events that a reader could not handle wait here.",
        }}
        columns={[
          { name: "Subscription", cell: (letter) => letter.subscription },
          { name: "Stream", cell: (letter) => <span className="mono">{letter.stream}</span> },
          {
            name: "Error",
            cell: (letter) => <div className="wide">{String(letter.error ?? letter.state)}</div>,
          },
          { name: "Attempts", cell: (letter) => letter.attempts, right: true, minor: true },
          {
            name: "",
            right: true,
            cell: (letter) => (
              <Button size="compact-sm" onClick={() => replay.mutate(letter)}>
                Replay
              </Button>
            ),
          },
        ]}
      />
    </Panel>
  );
}
