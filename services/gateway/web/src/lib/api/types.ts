/** What the gateway sends: a mirror of `maru_contracts` and of the evidence that ideas serves. */

export const STATUSES = [
  "new",
  "under_review",
  "planned",
  "in_progress",
  "shipped",
  "declined",
] as const;
export type Status = (typeof STATUSES)[number];

/** Which status may follow which; the ideas service decides, this only saves useless offers. */
export const MOVES: Record<Status, readonly Status[]> = {
  new: ["under_review", "planned", "declined"],
  under_review: ["new", "planned", "in_progress", "declined"],
  planned: ["under_review", "in_progress", "declined"],
  in_progress: ["planned", "shipped", "declined"],
  shipped: ["under_review"],
  declined: ["under_review"],
};

export const CHANNELS = [
  "blog",
  "microblog",
  "video",
  "community",
  "review",
  "survey",
  "call",
  "mail",
  "press",
  "broadcast",
  "visit",
  "other",
] as const;
export type Channel = (typeof CHANNELS)[number];

export const MOODS = ["negative", "neutral", "positive"] as const;
export type Mood = (typeof MOODS)[number];

export const INTENTS = ["suggestion", "problem", "question", "praise", "other"] as const;
export type Intent = (typeof INTENTS)[number];

/** What a corrected post must be to stand behind an idea. */
export const ASKING: readonly Intent[] = ["suggestion", "problem"];

export const SORTS = ["score", "voices", "newest", "last_seen"] as const;
export type Sort = (typeof SORTS)[number];

export type Role = "public" | "reader" | "contributor" | "owner" | "admin";

export interface Idea {
  id: string;
  version: number;
  product: string;
  title: string;
  summary: string;
  status: Status;
  score: number;
  /** Each reason's contribution; they add up to `score`. */
  terms: Record<string, number>;
  voices: number;
  evidence_count: number;
  mood: Record<Mood, number>;
  topics: string[];
  channels: Channel[];
  languages: string[];
  is_public: boolean;
  first_seen: string;
  last_seen: string;
}

export interface Author {
  handle: string;
  name: string;
}

/** A person's word on a post's tags, and what the models say beneath it. */
export interface Correction {
  by: string;
  /** Null where nobody has corrected the topics. */
  topics?: readonly string[] | null;
  own: {
    sentiment: { label: Mood };
    intent: { label: Intent };
    topics?: readonly { name: string }[];
  };
}

/** What a review gives: stars, or a number of another scale. */
export interface Rating {
  value: number;
  best: number;
}

/** A post behind an idea. */
export interface Evidence {
  post_id: string;
  url: string | null;
  channel: Channel;
  /** Null on the public board. */
  author: Author | null;
  title: string;
  text: string;
  language: string;
  sentiment: Mood;
  intent: Intent;
  topics: string[];
  rating?: Rating | null;
  created_at: string;
  correction?: Correction | null;
}

/** A post with its tags, as it is after a correction. */
export interface TaggedPost {
  sentiment: { label: Mood };
  intent: { label: Intent };
  topics: readonly { name: string }[];
  correction: Correction;
}

export interface Page<T> {
  items: T[];
  next: string | null;
  total?: number;
}

export interface Me {
  workspace: string;
  role: Role;
}

export interface SamplePost {
  id: string;
  title: string;
  text: string;
  language: string;
}

/** A topic that posts are tagged with. */
export interface DefinedTopic {
  name: string;
  description: string;
  examples: readonly string[];
  /** Names that it had before. */
  formerly: readonly string[];
}

/** What came of the corrections of one kind of tag; null where nothing was learnt. */
export interface LearntHead {
  head: string;
  state: string;
  corrections: number;
  base_accuracy: number | null;
  accuracy: number | null;
}

/** A discovered topic in a period; `before` counts the equally long period before. */
export interface DiscoveredTopic {
  id: string;
  product: string;
  name: string;
  words: readonly string[];
  posts: number;
  share: number;
  before: number;
  rising: boolean;
  days: readonly { day: string; posts: number }[];
  mood: Record<Mood, number>;
  languages: Record<string, number>;
  samples: readonly SamplePost[];
  adopted_as: string | null;
}

export interface Discovered {
  first: string;
  last: string;
  topics: readonly DiscoveredTopic[];
}
