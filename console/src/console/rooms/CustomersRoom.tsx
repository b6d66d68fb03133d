export function CustomersRoom() {
  return null;
}
export function CustomerRoom() {
  return null;
}
