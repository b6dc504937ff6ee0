import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

const violet: MantineColorsTuple = [
  "#f0eeff", "#dcd8fb", "#b6aef1", "#8e82e8", "#6c5de0", "#5746dc", "#4c3bcf", "#3d2dc4", "#3527b0", "#2b1f9b",
];

export const theme = createTheme({
  primaryColor: "violet",
  primaryShade: { light: 6, dark: 4 },
  colors: { violet },
  defaultRadius: "md",
  fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace",
  headings: { fontWeight: "650" },
  // What was typed or clicked last is always visible to those who use a keyboard.
  focusRing: "auto",
  autoContrast: true,
});

/** Colours that texts are written in on their own tint. */
const TINTED = ["violet", "green", "red", "orange", "yellow", "gray", "blue"];

function tints(shade: number): Record<string, string> {
  return Object.fromEntries(TINTED.map((name) => [`--mantine-color-${name}-light-color`, `var(--mantine-color-${name}-${shade})`]));
}

/** Texts stand out from what is behind them by at least 4.5 to 1, which the library's own defaults miss. */
export const contrast: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    ...tints(9),
    "--mantine-color-dimmed": "var(--mantine-color-gray-7)",
    "--mantine-color-placeholder": "var(--mantine-color-gray-7)",
    "--mantine-color-error": "var(--mantine-color-red-9)",
    "--mantine-color-red-text": "var(--mantine-color-red-9)",
    "--mantine-color-orange-light-color": "#8a3300",
    "--mantine-color-yellow-light-color": "#664400",
    "--mantine-color-green-light-color": "#1b5e20",
  },
  dark: {
    ...tints(2),
    "--mantine-color-dimmed": "var(--mantine-color-dark-1)",
    "--mantine-color-placeholder": "var(--mantine-color-dark-1)",
    "--mantine-color-anchor": "var(--mantine-color-violet-2)",
    "--mantine-color-error": "var(--mantine-color-red-4)",
    "--mantine-color-red-text": "var(--mantine-color-red-4)",
  },
});

/** The nonce under which the content security policy lets the component library add its styles. */
export function styleNonce(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
}
