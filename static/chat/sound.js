// A sound for new messages: two soft tones, made here. Off until the reader turns it on.

import { keep, read } from "./storage.js";
import { isAnyUnread } from "./unread.js";

const KEY = "realmate.sound";
const REPEAT_KEY = "realmate.repeat-sound";
const PLAYED_KEY = "realmate.sound-played"; // when, by any tab of this browser
const REPEAT_MS = 30_000;
const AT_MOST_EVERY_MS = 5_000;
const TONES_HZ = [660, 880];

const button = document.getElementById("sound");
const repeat = document.getElementById("repeat-sound");
let context = null;

const isOn = () => read(KEY) === "on";
const show = () => button.setAttribute("aria-pressed", isOn());

// Browsers play nothing before the first click or key on a page.
const allow = () => isOn() && (context ??= new AudioContext()).resume();

function play() {
  TONES_HZ.forEach((frequency, place) => {
    const from = context.currentTime + place * 0.16;
    const tone = new OscillatorNode(context, { frequency });
    const volume = new GainNode(context, { gain: 0 });
    volume.gain.setValueAtTime(0.15, from);
    volume.gain.exponentialRampToValueAtTime(0.001, from + 0.3);
    tone.connect(volume).connect(context.destination);
    tone.start(from);
    tone.stop(from + 0.3);
  });
}

// Once for all tabs.
export function chime() {
  if (!isOn() || Date.now() - Number(read(PLAYED_KEY)) < AT_MOST_EVERY_MS) return;
  allow();
  if (context.state !== "running") return;
  keep(PLAYED_KEY, Date.now());
  play();
}

function toggle() {
  keep(KEY, isOn() ? "off" : "on");
  show();
  chime();
}

if ("AudioContext" in window) {
  button.hidden = false;
  button.addEventListener("click", toggle);
  for (const event of ["pointerdown", "keydown"]) addEventListener(event, allow, { once: true });
  show();
}

if (repeat) {
  repeat.checked = read(REPEAT_KEY) === "on";
  repeat.addEventListener("change", () => keep(REPEAT_KEY, repeat.checked ? "on" : "off"));
}
setInterval(() => read(REPEAT_KEY) === "on" && isAnyUnread() && chime(), REPEAT_MS);
