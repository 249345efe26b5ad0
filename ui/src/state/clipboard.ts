// Copies text, also text that has to be fetched first: the promise is handed to the browser while it still knows
// that the person clicked.

import { text } from "../text";

export async function copy(what: string | Promise<string>): Promise<void> {
  if (typeof ClipboardItem !== "undefined" && navigator.clipboard?.write !== undefined) {
    const blob = Promise.resolve(what).then((text) => new Blob([text], { type: "text/plain" }));
    try {
      return await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    } catch {
      // Some browsers take no promise, or no permission; the old way below needs neither.
    }
  }
  const words = await what;
  try {
    await navigator.clipboard.writeText(words);
  } catch {
    copyBySelection(words);
  }
}

function copyBySelection(words: string): void {
  const field = document.createElement("textarea");
  field.className = "off-screen";
  field.value = words;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (!isCopied) throw new Error(text.notCopied);
}
