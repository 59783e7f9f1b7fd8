// Before anything is painted: the theme that this browser chose, over the system's. No module, because
// modules run after the first paint.

try {
  const theme = localStorage.getItem("realmate.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // This browser keeps nothing.
}
