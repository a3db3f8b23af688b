// Holds docs/asyncapi.json against AsyncAPI's own parser: `npm install && npm run check`, with Node 20 or newer.
// Exits with 1 if the parser reports an error or a warning, or finds another number of channels, operations or messages.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const text = readFileSync(process.argv[2], "utf8");
const written = JSON.parse(text);
const { document, diagnostics } = await new Parser().parse(text);

const names = ["error", "warning", "info", "hint"];
for (const { severity, code, message, path } of diagnostics) {
  console.log(`${names[severity]}: ${code} at ${path.join(".") || "/"}: ${message}`);
}
const counts = {
  channels: [document?.channels().all().length, Object.keys(written.channels).length],
  operations: [document?.operations().all().length, Object.keys(written.operations).length],
  messages: [document?.messages().all().length, Object.keys(written.components.messages).length],
};
for (const [what, [parsed, expected]] of Object.entries(counts)) console.log(`${what}: ${parsed} of ${expected}`);

const isSound = diagnostics.every(({ severity }) => severity > 1);
const isComplete = Object.values(counts).every(([parsed, expected]) => parsed === expected);
process.exit(isSound && isComplete ? 0 : 1);
