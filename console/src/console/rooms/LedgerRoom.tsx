export function LedgerRoom() {
  return null;
}
