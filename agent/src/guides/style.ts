/** What a guide looks like. It lives in a shadow root: nothing of the page's styles comes in, and nothing of it goes out. */
export const STYLE = `
:host { color-scheme: light; }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
.guide {
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1a1b1e; background: #fff;
  border: 1px solid #ced4da; border-radius: 8px; box-shadow: 0 8px 32px rgb(0 0 0 / 25%); text-align: start;
  padding: 20px; margin: 0; overflow-wrap: anywhere;
}
dialog.guide { position: fixed; inset: 0; margin: auto; width: min(520px, calc(100vw - 24px)); max-height: calc(100vh - 24px); overflow: auto; }
dialog.guide::backdrop { background: rgb(0 0 0 / 45%); }
.banner { position: fixed; inset: 0 0 auto 0; border-radius: 0; border-width: 0 0 1px; max-height: 60vh; overflow: auto; }
.banner .inner { max-width: 960px; margin: 0 auto; }
.tooltip { position: fixed; width: min(360px, calc(100vw - 24px)); max-height: calc(100vh - 24px); overflow: auto; }
.top { display: flex; gap: 12px; align-items: flex-start; }
.text { flex: 1; min-width: 0; }
.text > :first-child { margin-top: 0; }
h2, h3, h4 { margin: 0 0 8px; line-height: 1.25; }
h2 { font-size: 1.35em; } h3 { font-size: 1.15em; } h4 { font-size: 1em; }
p, ul, ol { margin: 0 0 12px; }
code { font: 0.9em ui-monospace, monospace; background: #f1f3f5; padding: 0 4px; border-radius: 4px; }
a { color: #1864ab; }
fieldset { border: 0; padding: 0; margin: 0 0 16px; min-width: 0; }
legend, .words > span { font-weight: 600; padding: 0; margin-bottom: 8px; display: block; }
.row { display: flex; flex-wrap: wrap; gap: 6px; }
.column { display: flex; flex-direction: column; gap: 6px; }
.row label, .column label { position: relative; cursor: pointer; }
.row input { position: absolute; opacity: 0; inset: 0; margin: 0; cursor: pointer; }
.row span { display: block; min-width: 36px; padding: 5px 8px; text-align: center; border: 1px solid #868e96; border-radius: 6px; }
.row input:checked + span { background: #1864ab; border-color: #1864ab; color: #fff; }
.column label { display: flex; gap: 8px; align-items: baseline; }
.ends { display: flex; justify-content: space-between; gap: 12px; font-size: 0.8em; color: #495057; margin-top: 4px; }
.words { display: block; margin-bottom: 16px; }
textarea { font: inherit; color: inherit; background: #fff; width: 100%; border: 1px solid #868e96; border-radius: 6px; padding: 8px; resize: vertical; }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; justify-content: flex-end; margin-top: 4px; }
button { font: inherit; border-radius: 6px; border: 1px solid transparent; padding: 6px 14px; cursor: pointer; background: none; color: #1864ab; }
button.main { background: #1864ab; color: #fff; }
button.close { color: #495057; padding: 0 8px; font-size: 22px; line-height: 1.2; }
:focus-visible, .row input:focus-visible + span { outline: 3px solid #4dabf7; outline-offset: 2px; }
@media (prefers-reduced-motion: no-preference) { .guide { animation: appear 0.15s ease-out; } @keyframes appear { from { opacity: 0; } } }
`;
