// Copies text, also text that has to be fetched first: the promise is handed to the browser while it still knows
// that the person clicked.

export async function copy(what: string | Promise<string>): Promise<void> {
  if (typeof ClipboardItem !== "undefined" && navigator.clipboard?.write !== undefined) {
    const blob = Promise.resolve(what).then((text) => new Blob([text], { type: "text/plain" }));
    try {
      return await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    } catch {
      // Some browsers take no promise, or no permission; the old way below needs neither.
    }
  }
  const text = await what;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text);
  }
}

function copyBySelection(text: string): void {
  const field = document.createElement("textarea");
  field.className = "off-screen";
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
