// What this browser keeps, and what this tab does: numbers and choices, no text. A browser may refuse to.

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
