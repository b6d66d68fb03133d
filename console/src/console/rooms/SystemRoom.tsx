export function SystemRoom() {
  return null;
}
