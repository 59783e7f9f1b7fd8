// Sets the theme chosen in this browser, before the first paint. No module, because modules run after the
// first paint.

try {
  const theme = localStorage.getItem("realmate.theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // This browser has no storage.
}
