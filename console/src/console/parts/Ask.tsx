import { Button, type ButtonProps, Modal } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { FormEvent, ReactNode } from "react";

interface AskProps extends ButtonProps {
  /** On the button that opens the question. */
  readonly label: string;
  readonly title: string;
  /** On the button that does it. */
  readonly confirm: string;
  readonly danger?: boolean;
  readonly children?: ReactNode;
  readonly onConfirm: () => Promise<unknown>;
}

/** A button that asks first, in a form of its own. Stays open when it did not work. */
export function Ask(props: AskProps) {
  const { label, title, confirm, danger = false, children, onConfirm, ...button } = props;
  const [opened, { open, close }] = useDisclosure(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onConfirm().then(close, () => undefined); // The failure is told by the change itself.
  };
  return (
    <>
      <Button variant="default" {...button} onClick={open}>
        {label}
      </Button>
      <Modal opened={opened} onClose={close} title={title}>
        <form className="stack" onSubmit={submit}>
          {children}
          <div className="row" style={{ justifyContent: "flex-end" }}>
            <Button variant="default" onClick={close}>
              Back
            </Button>
            <Button type="submit" {...(danger ? { color: "red" } : {})} data-autofocus={!children}>
              {confirm}
            </Button>
          </div>
        </form>
      </Modal>
    </>
  );
}
