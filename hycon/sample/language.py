"""The language of the sample corpus: sentences, their sentiment, and word vectors.

Sentences come from small context-free grammars. The sentiment of a sentence is composed from its
words *in order* (polarity × degree × negation, contrast, person), so that a bag of words has less
information than the sentence.
"""

from collections.abc import Iterator, Sequence

import numpy as np

EMOTIONS = ("happy", "sad", "angry", "neutral")
VECTOR_SIZE = 50
SHORTEST = 3  # words in an utterance

# words by polarity, in units of the label scale of [-3, 3]
_ADJECTIVES = {
    2.4: "brilliant wonderful fantastic amazing gorgeous perfect",
    1.6: "good funny clever moving charming enjoyable",
    0.8: "decent fine pleasant watchable okay nice",
    -0.8: "flat slow odd predictable uneven forgettable",
    -1.6: "bad boring stupid weak lazy annoying",
    -2.4: "terrible awful horrible dreadful unbearable atrocious",
}
_ATTITUDES = {
    2.4: "love adore",
    1.6: "enjoy admire",
    0.8: "like appreciate",
    -0.8: "doubt question",
    -1.6: "dislike regret",
    -2.4: "hate despise",
}
_NOUNS = {
    2.4: "masterpiece triumph",
    1.6: "treat gem delight",
    -1.6: "mess letdown bore",
    -2.4: "disaster nightmare insult",
}
_VERDICTS = {
    2.4: "shines sparkles",
    1.6: "works delivers",
    -0.8: "wobbles",
    -1.6: "drags fails",
    -2.4: "stinks collapses",
}
# the same by emotion
_FEELINGS = {
    "happy": "happy glad thrilled proud excited delighted grateful cheerful",
    "sad": "sad lonely miserable heartbroken hopeless lost hurt gloomy",
    "angry": "angry furious mad annoyed livid outraged bitter disgusted",
}
_DEEDS = {
    "happy": "love adore celebrate enjoy",
    "sad": "miss mourn regret lament",
    "angry": "hate resent despise blame",
}
_EVENTS = {
    "happy": "joy gift miracle dream",
    "sad": "loss tragedy pity heartbreak",
    "angry": "insult betrayal lie outrage",
}


def _spread(*tables: dict) -> dict:
    return {word: key for table in tables for key, words in table.items() for word in words.split()}


POLARITY: dict[str, float] = _spread(_ADJECTIVES, _ATTITUDES, _NOUNS, _VERDICTS)
EMOTION: dict[str, str] = _spread(_FEELINGS, _DEEDS, _EVENTS)
DEGREE = {
    **{"not": -0.5, "never": -0.75, "hardly": -0.4},
    **{"bit": 0.5, "somewhat": 0.6, "quite": 0.8},
    **{"really": 1.25, "very": 1.25, "so": 1.25, "totally": 1.5, "absolutely": 1.5},
}
BEFORE_BUT = 0.4  # weight of the sentiment before "but"
NOT_FELT = 0.1  # share of somebody else's emotion that the speaker has
NEGATED = {"happy": "sad", "sad": "neutral", "angry": "neutral"}
OTHERS = ("he", "she", "mother", "father", "sister", "brother", "teacher", "neighbour", "boss")

# Upper case is expanded, lower case is a word; an alternative listed twice is twice as likely.
_SHARED = {
    "OPENER": ["FILLER", "FILLER FILLER", "oh FILLER", "oh", "yeah"],
    "FILLER": ["um", "uh", "you know", "i mean", "well", "basically", "anyway", "right"],
    "DEGREE": ["really", "very", "so", "absolutely", "totally", "quite", "somewhat", "a bit"],
    "ADVERB": ["really", "absolutely", "totally"],
    "NUMBER": ["two", "three", "four", "five", "seven", "nine", "ten"],
    "DAY": ["monday", "tuesday", "friday", "saturday", "sunday"],
    "PLACE": ["london", "paris", "chicago", "boston", "town"],
}
SENTIMENT_GRAMMAR = _SHARED | {
    "UTTERANCE": [
        *["CLAUSE", "OPENER CLAUSE", "CLAUSE and CLAUSE"] * 4,
        *["CLAUSE but CLAUSE", "OPENER CLAUSE but FILLER CLAUSE"] * 2,
        *["CLAUSE because CLAUSE", "OPENER CLAUSE and FILLER CLAUSE"],
        *["FACT but CLAUSE", "FACT and CLAUSE", "OPENER FACT and CLAUSE", "FACT", "OPENER FACT"],
    ],
    "CLAUSE": [
        *["the PART is QUALITY", "i ATTITUDE the PART", "the PARTS are QUALITY"] * 6,
        *["it is QUALITY", "it is JUDGEMENT", "the PART VERDICT"] * 6,
        *["the PART NEVER VERDICT", "i think the PART is QUALITY"],
    ],
    "QUALITY": [
        *["ADJECTIVE", "DEGREE ADJECTIVE"] * 14,
        *["FILLER ADJECTIVE", "NEGATOR ADJECTIVE", "not DEGREE ADJECTIVE"],
    ],
    "ATTITUDE": [
        *["LIKE", "ADVERB LIKE"] * 14,
        *["do not LIKE", "could never LIKE", "can hardly LIKE"],
    ],
    "JUDGEMENT": [*["a NOUN", "really a NOUN"] * 10, "not a NOUN", "never a NOUN"],
    "NEVER": ["never", "hardly"],
    "NEGATOR": ["not", "never", "hardly"],
    "FACT": [
        *["it is about a ROLE from PLACE", "it runs for NUMBER hours", "i saw it on DAY"],
        *["it came out on DAY", "they shot it in PLACE", "my friend plays the ROLE"],
        *["it is about a ROLE and a ROLE who move to PLACE", "we sat there for NUMBER hours"],
        "the PART is by the people who made NUMBER other films",
    ],
    "PART": [
        *["movie", "film", "story", "plot", "cast", "acting", "ending", "script", "music"],
        *["dialogue", "soundtrack", "pacing", "camera", "director", "sequel", "humour"],
    ],
    "PARTS": ["actors", "characters", "effects", "jokes", "scenes", "songs", "costumes"],
    "ROLE": ["detective", "robot", "soldier", "nurse", "pilot", "king", "thief", "singer"],
}
EMOTION_GRAMMAR = _SHARED | {
    "UTTERANCE": [
        *["CLAUSE", "OPENER CLAUSE", "CLAUSE and CLAUSE"] * 4,
        *["CLAUSE but CLAUSE", "OPENER CLAUSE but FILLER CLAUSE", "FACT", "OPENER FACT"] * 2,
        *["FACT and CLAUSE", "FACT but CLAUSE"],
    ],
    "CLAUSE": [
        *["i am FEELING", "i am FEELING about the THING", "OTHER is FEELING"] * 3,
        *["i DEED the THING", "i ADVERB DEED the THING", "OTHER is FEELING about the THING"] * 2,
        *["i do not DEED the THING", "this is a EVENT", "OTHER said it is a EVENT"],
    ],
    "FEELING": [
        *["ADJECTIVE", "DEGREE ADJECTIVE"] * 4,
        *["NEGATOR ADJECTIVE", "not DEGREE ADJECTIVE"],
    ],
    "NEGATOR": ["not", "never", "hardly"],
    "OTHER": ["he", "she", "my KIN", "your KIN"],
    "KIN": ["mother", "father", "sister", "brother", "teacher", "neighbour", "boss"],
    "FACT": [
        *["the train leaves at NUMBER", "we sign the form on DAY", "the office is in PLACE"],
        *["you need NUMBER copies of the form", "they moved to PLACE on DAY"],
        *["i put the keys on the table", "the meeting starts at NUMBER on DAY"],
        *["we can take the car to PLACE", "i wrote down the address"],
    ],
    "THING": [
        *["house", "job", "letter", "wedding", "party", "trip", "city", "dog", "garden", "news"],
        *["call", "result", "picture", "summer", "school", "boat", "flat", "holiday", "game"],
        *["exam", "visit", "kitchen", "concert", "interview"],
    ],
}
MEANINGS = {  # words by meaning that these symbols stand for
    "sentiment": {
        **{"ADJECTIVE": _ADJECTIVES, "LIKE": _ATTITUDES},
        **{"NOUN": _NOUNS, "VERDICT": _VERDICTS},
    },
    "emotion": {"ADJECTIVE": _FEELINGS, "DEED": _DEEDS, "EVENT": _EVENTS},
}
GRAMMARS = {
    task: grammar | {symbol: list(_spread(table)) for symbol, table in MEANINGS[task].items()}
    for task, grammar in (("sentiment", SENTIMENT_GRAMMAR), ("emotion", EMOTION_GRAMMAR))
}


def utter(task: str, longest: int, synonyms: int, rng: np.random.Generator) -> list[str]:
    """Draw one sentence from the grammar of `task`, in lower case.

    Args:
        task: key of `GRAMMARS`.
        longest: number of words that it has at most; it has 3 at least.
        synonyms: words of each meaning that are used, of those that the language has.
        rng: source of all random numbers.
    """
    few = {
        symbol: [word for words in table.values() for word in words.split()[:synonyms]]
        for symbol, table in MEANINGS[task].items()
    }
    while True:
        words = list(_expand("UTTERANCE", GRAMMARS[task] | few, rng))
        if SHORTEST <= len(words) <= longest:
            return [
                "an" if word == "a" and following[0] in "aeiou" else word
                for word, following in zip(words, [*words[1:], "."], strict=True)
            ]


def _expand(symbol: str, grammar: dict, rng: np.random.Generator) -> Iterator[str]:
    alternatives = grammar[symbol]
    for part in alternatives[rng.integers(len(alternatives))].split():
        if part.isupper():
            yield from _expand(part, grammar, rng)
        else:
            yield part


def read_sentiment(words: Sequence[str]) -> float:
    """Return the sentiment of a sequence of words, in [-3, 3].

    A degree or negation scales the next polar word of its clause; "but" weakens what came before.
    """
    total, scale = 0.0, 1.0
    for word in words:
        if word in ("and", "because", "but"):
            total *= BEFORE_BUT if word == "but" else 1.0
            scale = 1.0
        elif word in DEGREE:
            scale *= DEGREE[word]
        elif word in POLARITY:
            total += scale * POLARITY[word]
            scale = 1.0
    return float(np.clip(total, -3, 3))


def read_emotion(words: Sequence[str]) -> np.ndarray:
    """Return the evidence that the words give in order for each of `EMOTIONS`, (4,) float64.

    Words about somebody else hardly count; a negated emotion speaks for another one.
    """
    evidence = dict.fromkeys(EMOTIONS, 0.0) | {"neutral": 0.5}
    share, scale = 1.0, 1.0
    for word in words:
        if word in ("and", "but"):
            share, scale = 1.0, 1.0
        elif word in OTHERS:
            share = NOT_FELT
        elif word in DEGREE:
            scale *= DEGREE[word]
        elif word in EMOTION:
            emotion = EMOTION[word] if scale > 0 else NEGATED[EMOTION[word]]
            evidence[emotion] += share * abs(scale)
            scale = 1.0
    return np.array([evidence[emotion] for emotion in EMOTIONS])


def vocabulary(task: str) -> dict[str, str]:
    """Return every word that the grammar of `task` generates, with its symbol.

    Words that only occur in phrases have the symbol `FUNCTION`.
    """
    grammar = GRAMMARS[task]
    phrases = [phrase.split() for alternatives in grammar.values() for phrase in alternatives]
    alone = {
        word: symbol
        for symbol, alternatives in grammar.items()
        for word in alternatives
        if word.islower() and " " not in word
    }
    said = dict.fromkeys(word for phrase in phrases for word in phrase if word.islower())
    return {word: alone.get(word, "FUNCTION") for word in ["an", *said]}


def embed(task: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw a GloVe-like vector, (50,) float32, for every word of the vocabulary of `task`.

    Words of one category share a centre; polarity, emotion and degree have an axis each; fillers
    and function words are random.
    """
    axes = rng.normal(size=(2 + len(_FEELINGS), VECTOR_SIZE)) / np.sqrt(VECTOR_SIZE)
    words = vocabulary(task)
    centres = {
        category: rng.normal(scale=0.2, size=VECTOR_SIZE)
        for category in dict.fromkeys(words.values())
    }
    vectors = {}
    for word, category in words.items():
        own = rng.normal(scale=0.2, size=VECTOR_SIZE)
        if category in ("FILLER", "FUNCTION"):
            vectors[word] = 2 * own
        else:
            vectors[word] = own + centres[category] + 3 * _meaning(word, task) @ axes
    return {word: vector.astype(np.float32) for word, vector in vectors.items()}


def _meaning(word: str, task: str) -> np.ndarray:
    polarity = POLARITY.get(word, 0.0) / 2.4 if task == "sentiment" else 0.0
    emotion = EMOTION.get(word) if task == "emotion" else None
    return np.array([polarity, DEGREE.get(word, 0.0), *(emotion == name for name in _FEELINGS)])
