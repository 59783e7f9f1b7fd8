// Counted phrases: the page brings both forms, in its language, as data-one and data-other.

const plural = new Intl.PluralRules(document.documentElement.lang);

export function counted(element, number) {
  const form = plural.select(number) === "one" ? "one" : "other";
  return element.dataset[form].replace("%s", number);
}
