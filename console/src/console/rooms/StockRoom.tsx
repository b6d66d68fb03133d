export function StockRoom() {
  return null;
}
