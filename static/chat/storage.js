// Storage of this browser, and of this tab: numbers and choices, no text. A browser may refuse storage.

const orNull = (act) => {
  try {
    return act();
  } catch {
    return null;
  }
};

export const read = (key) => orNull(() => localStorage.getItem(key));
export const keep = (key, value) => orNull(() => localStorage.setItem(key, value));
export const readInTab = (key) => orNull(() => sessionStorage.getItem(key));
export const keepInTab = (key, value) => orNull(() => sessionStorage.setItem(key, value));
