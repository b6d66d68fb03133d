import { createTheme } from "@mantine/core";

/** Looks of both applications: quiet, dense, with the system's own letters. */
export const theme = createTheme({
  primaryColor: "fjord",
  primaryShade: { light: 8, dark: 5 },
  colors: {
    fjord: [
      "#edf6f5",
      "#d9ebe9",
      "#b0d6d3",
      "#84c0bb",
      "#60ada8",
      "#48a19b",
      "#379a94",
      "#288680",
      "#0f6f6a",
      "#075753",
    ],
  },
  fontFamily:
    'Inter, ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, monospace',
  headings: { fontWeight: "600" },
  defaultRadius: "md",
  cursorType: "pointer",
  autoContrast: true,
  components: {
    Button: { defaultProps: { size: "sm" } },
    TextInput: { defaultProps: { size: "sm" } },
    Modal: { defaultProps: { centered: true, radius: "lg" } },
    Drawer: { defaultProps: { position: "right" } },
  },
});
