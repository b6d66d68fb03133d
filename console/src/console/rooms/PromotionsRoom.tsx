export function PromotionsRoom() {
  return null;
}
