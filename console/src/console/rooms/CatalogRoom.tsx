export function CatalogRoom() {
  return null;
}
