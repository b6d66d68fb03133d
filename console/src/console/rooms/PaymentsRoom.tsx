export function PaymentsRoom() {
  return null;
}
