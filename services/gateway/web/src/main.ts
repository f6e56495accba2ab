import "./app.css";

import { mount } from "svelte";

import App from "./App.svelte";

const target = document.getElementById("board");
if (!target) throw new Error("index.html has no #board");
mount(App, { target });
