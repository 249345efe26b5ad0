// Where the system is set to no language, some browsers call that "C", at which libraries stumble while they load.
// Imported before all of them.

try {
  Intl.getCanonicalLocales(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en", configurable: true });
  Object.defineProperty(navigator, "languages", { value: ["en"], configurable: true });
}

export {};
