import { Button, Modal, PasswordInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { sayProblem } from "../ui/problem.ts";
import { signIn } from "./session.ts";

/** Adds another brand's key to the session. */
export function AddKey({
  opened,
  close,
}: {
  readonly opened: boolean;
  readonly close: () => void;
}) {
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState<string>();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    await signIn(key).then(close, (error) => setProblem(sayProblem(error)));
  };
  return (
    <Modal opened={opened} onClose={close} title="Add a key">
      <form className="stack" onSubmit={submit}>
        <PasswordInput
          label="Secret or operator's key"
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          error={problem}
          autoComplete="off"
          data-autofocus
          required
        />
        <Button type="submit">Add</Button>
      </form>
    </Modal>
  );
}
