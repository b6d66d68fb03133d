export function SagasRoom() {
  return null;
}
