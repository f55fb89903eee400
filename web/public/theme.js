// Sets the chosen theme before the first paint; "auto" leaves it to the system.
try {
  const theme = localStorage.getItem("trefoil.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be blocked: the system's setting then decides.
}
