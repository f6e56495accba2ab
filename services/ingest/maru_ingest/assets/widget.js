// Opens a form of Maru in a dialog: <script async src="…/widget/1.js" data-form="ID"></script>.
// data-lang (en, ko), data-label (of the button), data-side (left, right), data-button (a selector
// of buttons of your own that open it, in place of ours).
// The form stands in a frame of Maru's own origin without scripts: your page can't read what is
// typed, and Maru's page can do nothing in yours.
(() => {
  const tag = document.currentScript;
  const { form, lang, label, side, button } = tag ? tag.dataset : {};
  if (!form) return console.error("Maru: the script needs data-form, the id of the form");

  const spoken = lang || document.documentElement.lang || navigator.language;
  const [language, says, ends] = spoken.startsWith("ko")
    ? ["ko", "의견 보내기", "닫기"]
    : ["en", "Feedback", "Close"];
  const address = new URL(`../forms/${encodeURIComponent(form)}`, tag.src);
  address.search = new URLSearchParams({ embedded: "1", lang: language });

  const make = (name, attributes, ...inside) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };
  const name = label || says;
  const frame = make("iframe", {
    title: name,
    sandbox: "allow-forms allow-same-origin",
    referrerpolicy: "strict-origin",
  });
  const close = make("button", { type: "button", class: "close", "aria-label": ends }, "×");
  const dialog = make("dialog", { "aria-label": name }, frame, close);
  const opener = make("button", { type: "button", class: "open", "aria-haspopup": "dialog" }, name);

  const open = () => {
    if (!frame.src) frame.src = address.href; // nothing is loaded before it is wanted
    if (!dialog.open) dialog.showModal();
  };
  opener.addEventListener("click", open);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  const sheet = new CSSStyleSheet(); // allowed by a strict style-src, unlike <style>
  sheet.replaceSync(`
    :host { all: initial; color-scheme: light dark; }
    button { font: 600 1rem/1 system-ui, "Apple SD Gothic Neo", "Noto Sans KR", sans-serif;
      border: 0; cursor: pointer; }
    button:focus-visible { outline: 3px solid #0b5f59; outline-offset: 2px; }
    .open { position: fixed; z-index: 2147483646; bottom: max(1rem, env(safe-area-inset-bottom));
      ${side === "left" ? "left" : "right"}: 1rem; min-height: 3rem; padding: 0 1.25rem;
      border-radius: 1.5rem; background: #0b5f59; color: #fff; box-shadow: 0 4px 16px #0004; }
    dialog { box-sizing: border-box; width: min(30rem, 100vw - 1.5rem); max-width: none;
      height: min(42rem, 100dvh - 1.5rem); max-height: none; padding: 0; border: 0;
      border-radius: 1rem; overflow: hidden; background: Canvas; box-shadow: 0 12px 48px #0006; }
    dialog::backdrop { background: #0008; }
    iframe { display: block; width: 100%; height: 100%; border: 0; }
    .close { position: absolute; top: .5rem; right: .5rem; width: 2.75rem; height: 2.75rem;
      border-radius: 50%; font-size: 1.5rem; background: #8883; color: CanvasText; }
  `);
  const host = make("div", {});
  const root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet];
  root.append(...(button ? [dialog] : [opener, dialog]));

  const place = () => {
    document.body.append(host);
    if (button) document.querySelectorAll(button).forEach((it) => it.addEventListener("click", open));
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", place);
  else place();
})();
