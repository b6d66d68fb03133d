/** The product's mark. */
export function Mark({ size = 26 }: { readonly size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--mark)" />
      <path
        d="M10 8h7.200a4 4 0 0 1 0 8H10zM10 16h8.400a4 4 0 0 1 0 8H10z"
        fill="none"
        stroke="#fff"
        strokeWidth="2.600"
        strokeLinejoin="round"
      />
    </svg>
  );
}
