export function TenantsRoom() {
  return null;
}
