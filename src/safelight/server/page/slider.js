// Sliders whose track is filled from zero to where they stand.

import { amount } from "./words.js";

const shareOf = (value, { min, max }) => ((value - min) / (max - min)).toFixed(4);

/** Move a slider to the allowed value that is nearest to the wanted one, and show it as `say` does. */
export function slide(slider, wanted, say = amount) {
  slider.value = wanted;
  const value = Number(slider.value);
  slider.style.setProperty("--origin", shareOf(0, slider));
  slider.style.setProperty("--from", shareOf(Math.min(0, value), slider));
  slider.style.setProperty("--to", shareOf(Math.max(0, value), slider));
  slider.setAttribute("aria-valuetext", say(value));
  return value;
}
