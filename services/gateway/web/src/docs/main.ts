import "../app.css";

import { mount } from "svelte";

import Docs from "./Docs.svelte";

const target = document.getElementById("docs");
if (!target) throw new Error("docs.html has no #docs");
mount(Docs, { target });
