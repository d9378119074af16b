/** The catalogue as the server tells it: which pipelines there are and what can be turned on each. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Change = Record<string, Json>; // parameter name -> value
export type Mode = "text" | "video";

export interface Ui {
  category?: string;
  order?: number;
  component?: string | null;
  modes?: Mode[];
  label?: string;
  is_load_param?: boolean;
  live?: boolean; // although also given at load
  lane?: string;
}

/** One property of a JSON schema, as pydantic writes it. */
export interface Property {
  type?: string;
  title?: string;
  description?: string;
  default?: Json;
  enum?: Json[];
  const?: Json;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  items?: Property;
  anyOf?: Property[];
  $ref?: string;
  cue?: boolean;
  ui?: Ui;
}

export interface Entry {
  id: string;
  name: string;
  description: string;
  supported_modes: Mode[];
  default_mode: Mode;
  supports_prompts: boolean;
  usage: string[];
  min_dimension: number;
  available?: boolean;
  unavailable_reason?: string | null;
  estimated_vram_gb?: number | null;
  schema_error?: string;
  config_schema?: { properties?: Record<string, Property>; $defs?: Record<string, Property> };
  mode_defaults?: Partial<Record<Mode, Record<string, Json>>>;
}

/** The prompt a pipeline begins with when it is given none. */
export function openingOf(entry: Entry | null): string {
  const preset = entry?.config_schema?.properties?.["prompts"]?.default;
  const [first] = Array.isArray(preset) ? preset : [];
  return typeof first === "object" && first !== null && !Array.isArray(first) && typeof first["text"] === "string" ? first["text"] : "";
}

/** A property with every reference resolved: all that a control has to know. */
export interface Field {
  name: string;
  label: string;
  hint: string;
  type: string; // boolean, integer, number, string, array, object
  items: string | null; // type of the elements of an array
  choices: Json[] | null;
  minimum: number | null;
  maximum: number | null;
  nullable: boolean;
  preset: Json; // its default in this mode
  cue: boolean;
  load: boolean; // fixed at load
  fast: boolean; // felt at the next output frame, whatever the pipeline
  category: string;
  component: string | null;
  order: number;
}

/** Parameters that have a place of their own on the page. */
const ELSEWHERE = new Set(["prompts", "transition", "paused", "reset_cache", "input_mode", "ctrl_input"]);

/** What can be turned on `entry` in `mode`, in the order to show it. A property without `ui` is not shown. */
export function fieldsOf(entry: Entry, mode: Mode): Field[] {
  const { properties = {}, $defs = {} } = entry.config_schema ?? {};
  const presets = entry.mode_defaults?.[mode] ?? {};
  return Object.entries(properties)
    .flatMap(([name, property]) => {
      const ui = property.ui;
      if (!ui || ELSEWHERE.has(name) || (ui.modes && !ui.modes.includes(mode))) return [];
      return [field(name, property, ui, $defs, presets[name])];
    })
    .sort((a, b) => a.order - b.order);
}

/** Fields of a whole chain; where two stages share a name, the first stage named wins. */
export function fieldsOfChain(entries: Entry[], mode: Mode): Field[] {
  const found = new Map<string, Field>();
  for (const each of entries.flatMap((entry) => fieldsOf(entry, mode))) if (!found.has(each.name)) found.set(each.name, each);
  return [...found.values()];
}

function field(name: string, property: Property, ui: Ui, defs: Record<string, Property>, preset: Json | undefined): Field {
  const { body, nullable } = resolve(property, defs);
  return {
    name,
    label: ui.label ?? property.title ?? words(name),
    hint: property.description ?? body.description ?? "",
    ...shape(body, defs),
    nullable,
    preset: preset ?? property.default ?? null,
    cue: property.cue === true,
    load: ui.is_load_param === true && ui.live !== true,
    ...place(ui),
  };
}

function shape(body: Property, defs: Record<string, Property>) {
  return {
    type: body.type ?? (typeof body.enum?.[0] === "number" ? "number" : "string"),
    items: body.items ? (resolve(body.items, defs).body.type ?? null) : null,
    choices: body.enum ?? null,
    minimum: body.minimum ?? body.exclusiveMinimum ?? null,
    maximum: body.maximum ?? body.exclusiveMaximum ?? null,
  };
}

function place({ lane, category = "configuration", component = null, order = 1000 }: Ui) {
  return { fast: lane === "fast", category, component, order };
}

function resolve(property: Property, defs: Record<string, Property>): { body: Property; nullable: boolean } {
  const options = property.anyOf;
  if (options) {
    const real = options.filter((option) => option.type !== "null");
    const first = real[0] ? resolve(real[0], defs).body : {};
    return { body: { ...first, ...bounds(property) }, nullable: real.length < options.length };
  }
  const target = property.$ref ? defs[property.$ref.replace("#/$defs/", "")] : undefined;
  return { body: target ? { ...target, ...bounds(property) } : property, nullable: false };
}

function bounds({ minimum, maximum }: Property): Property {
  return { ...(minimum !== undefined && { minimum }), ...(maximum !== undefined && { maximum }) };
}

export function words(name: string): string {
  const text = name.replaceAll("_", " ").trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
