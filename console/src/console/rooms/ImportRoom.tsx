export function ImportRoom() {
  return null;
}
