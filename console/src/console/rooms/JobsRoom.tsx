export function JobsRoom() {
  return null;
}
