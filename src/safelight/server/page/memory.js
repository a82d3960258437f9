// What the form said last time; the page does without where storage is switched off.

const KEY = "safelight.form";

export function remember(form) {
  try {
    localStorage.setItem(KEY, JSON.stringify(Object.fromEntries(new FormData(form))));
  } catch {
    return;
  }
}

export function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}
