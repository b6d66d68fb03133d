import { ActionIcon } from "@mantine/core";
import { Icon } from "../ui/Icon.tsx";

interface QuantityProps {
  readonly value: number;
  readonly onChange: (value: number) => void;
  /** What is counted, for screen readers. */
  readonly label: string;
  /** Smallest value; 0 lets it be removed. */
  readonly min?: number;
}

/** A number with a minus and a plus. */
export function Quantity({ value, onChange, label, min = 1 }: QuantityProps) {
  const step = (by: number) => onChange(Math.min(999, Math.max(min, value + by)));
  return (
    <div className="quantity">
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={`One less: ${label}`}
        onClick={() => step(-1)}
      >
        <Icon name="minus" size={14} />
      </ActionIcon>
      <output aria-label={`Quantity: ${label}`}>{value}</output>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={`One more: ${label}`}
        onClick={() => step(1)}
      >
        <Icon name="plus" size={14} />
      </ActionIcon>
    </div>
  );
}
