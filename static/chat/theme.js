// Before anything is painted: the theme that this browser chose, over the system's.

const theme = localStorage.getItem("realmate.theme");
if (theme) document.documentElement.dataset.theme = theme;
