import { Alert, Button, PasswordInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { sayProblem } from "../ui/problem.ts";
import { SchemeSwitch } from "../ui/SchemeSwitch.tsx";
import { Mark } from "./parts/Mark.tsx";
import { signIn } from "./session.ts";

/** Asks for a key. */
export function SignIn({ refused }: { readonly refused: string | undefined }) {
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState(refused);
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    await signIn(key).catch((error) => setProblem(sayProblem(error)));
    setBusy(false);
  };
  return (
    <main className="sign-in">
      <form className="sign-in-card" onSubmit={submit}>
        <Mark size={36} />
        <h1>Sign in to the console</h1>
        <p className="muted">
          With a brand's secret key, or the operator's. It stays in this tab and is forgotten when
          you close it.
        </p>
        {problem && (
          <Alert color="red" variant="light" role="alert">
            {problem}
          </Alert>
        )}
        <PasswordInput
          label="Key"
          placeholder="sk_…"
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
          autoFocus
          required
        />
        <Button type="submit" loading={busy} disabled={key.trim() === ""} fullWidth>
          Sign in
        </Button>
      </form>
      <SchemeSwitch />
    </main>
  );
}
