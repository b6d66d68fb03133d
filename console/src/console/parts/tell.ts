import { notifications } from "@mantine/notifications";

/** Short messages in the corner, read out by screen readers. */
export const tell = {
  success(message: string): void {
    notifications.show({ message, color: "fjord", autoClose: 4_000 });
  },
  failure(message: string): void {
    notifications.show({ title: "That did not work", message, color: "red", autoClose: 8_000 });
  },
};
