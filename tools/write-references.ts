import { writeFileSync } from "node:fs";
import { configReference } from "../src/config-variables.ts";
import { errorReference, errorSections } from "../src/error-reference.ts";
import { resilienceReference } from "../src/resilience-matrix.ts";
import { eventReference, eventSections } from "./event-reference.ts";

/** Writes the references that tests compare with the code: `node tools/write-references.ts`. */
const folder = new URL("../docs/reference/", import.meta.url);
writeFileSync(new URL("errors.md", folder), errorReference(await errorSections()));
writeFileSync(new URL("config.md", folder), configReference());
writeFileSync(new URL("resilience.md", folder), resilienceReference());
writeFileSync(new URL("events.md", folder), eventReference(await eventSections()));
