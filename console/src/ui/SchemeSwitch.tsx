import { ActionIcon, useMantineColorScheme } from "@mantine/core";
import { Icon } from "./Icon.tsx";

const order = ["auto", "light", "dark"] as const;
const icons = { auto: "system_scheme", light: "sun", dark: "moon" } as const;
const names = { auto: "as the system", light: "light", dark: "dark" } as const;

/** Goes round: as the system, light, dark. */
export function SchemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const next = order[(order.indexOf(colorScheme) + 1) % order.length] ?? "auto";
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="lg"
      aria-label={`Colours: ${names[colorScheme]}. Switch to ${names[next]}`}
      title={`Colours: ${names[colorScheme]}`}
      onClick={() => setColorScheme(next)}
    >
      <Icon name={icons[colorScheme]} />
    </ActionIcon>
  );
}
