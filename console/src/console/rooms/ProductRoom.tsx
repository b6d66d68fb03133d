export function ProductRoom() {
  return null;
}
