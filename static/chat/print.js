// All messages on paper, laid out in the reader's zone.

import { layOut } from "./layout.js";
import { localise } from "./times.js";

layOut([...document.querySelectorAll(".messages .message")]);
localise();
const button = document.getElementById("print");
button.hidden = false;
button.addEventListener("click", () => window.print());
