// Light, dark, or as the system says. public/theme.js sets the choice before
// the first paint; this changes it.

export type Theme = "auto" | "light" | "dark";

const KEY = "trefoil.theme";

class Themes {
  chosen = $state<Theme>(read());
  private system = $state(matchMedia("(prefers-color-scheme: dark)").matches);
  /** What is on the screen. */
  dark = $derived(this.chosen === "auto" ? this.system : this.chosen === "dark");

  constructor() {
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (e) => (this.system = e.matches));
  }

  choose(theme: Theme): void {
    this.chosen = theme;
    if (theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Storage may be blocked: the choice then lasts as long as the page.
    }
  }
}

function read(): Theme {
  const theme = document.documentElement.dataset["theme"];
  return theme === "light" || theme === "dark" ? theme : "auto";
}

export const themes = new Themes();
