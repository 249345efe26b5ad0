// Small choices about how the window looks, kept by the browser. Nothing that matters elsewhere.

export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`deskgrid.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(`deskgrid.${name}`, value);
  } catch {
    // Storage may be off; then the choice holds until the window closes.
  }
}
