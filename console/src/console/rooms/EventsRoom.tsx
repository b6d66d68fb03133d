export function EventsRoom() {
  return null;
}
