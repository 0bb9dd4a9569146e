"""The words of the toy world: how each event is said in plain language, and the phrasings of every question. No label
of the crime study is among them; the four unseen kinds have no words at all."""

# kind → (who does what, one of several sentences; yes/no form). All are true of every clip with that event.
EVENT_WORDS: dict[str, tuple[tuple[str, ...], str]] = {
    "Arson": (
        ("a fire burns at the wall", "flames climb the wall of the building", "the house is on fire"),
        "a fire burn at the wall",
    ),
    "Assault": (
        ("someone kicks a person who lies on the ground", "a person on the ground is kicked"),
        "someone kick a person on the ground",
    ),
    "Burglary": (
        ("someone climbs in through the broken window", "a person climbs into the house by the window"),
        "someone climb in through the window",
    ),
    "Explosion": (("a big ball of fire bursts", "something blows up in a ball of fire"), "something blow up"),
    "Fighting": (("two people hit each other", "two people exchange blows"), "two people hit each other"),
    "RoadAccidents": (("two cars crash", "one car runs into the other"), "two cars crash"),
    "wave": (("two people wave", "the two people wave at each other"), "the two people wave"),
    "jump": (("a person jumps", "somebody jumps into the air"), "a person jump into the air"),
    "hug": (("two people hug", "the two people hug each other"), "two people hug"),
    "sit": (("a person sits on the ground", "somebody sits down"), "a person sit down"),
    "umbrella": (("a person opens an umbrella", "somebody holds up an umbrella"), "a person open an umbrella"),
    "ball": (("two people throw a ball", "the two people play with a ball"), "two people throw a ball"),
    "photo": (("a person takes a photo with a flash", "somebody takes a photo"), "a person take a photo"),
    "fall": (("a person falls and lies on the ground", "somebody falls down"), "a person fall down"),
    "box": (("a person gives the other a box", "one hands the other a box"), "a person give a box to the other"),
    "dance": (("two people dance", "the two people dance with their arms up"), "two people dance"),
    "kite": (("a person flies a kite", "a kite flies in the sky"), "a person fly a kite"),
    "animal_jump": (("the {animal} jumps", "the {animal} jumps up high"), "the {animal} jump up"),
    "animal_crouch": (
        ("a person kneels before the {animal}", "a person kneels and reaches out to the {animal}"),
        "a person kneel before the {animal}",
    ),
    "bird": (("a big bird flies by", "a bird flies through the picture"), "a bird fly by"),
    "lightning": (("lightning strikes", "lightning flashes in the sky"), "lightning strike"),
    "fireworks": (("fireworks burst in the sky", "there are fireworks"), "fireworks burst in the sky"),
    "car_lights": (
        ("the parked car flashes its lights", "the lights of the parked car flash"),
        "the parked car flash its lights",
    ),
    "door": (("the door of the house opens", "the door opens"), "the door open"),
    "balloon": (("a person holds a balloon", "somebody has a balloon on a string"), "a person hold a balloon"),
    "tie_shoe": (("a person kneels to tie a shoe", "somebody ties a shoe"), "a person tie a shoe"),
    "point": (("a person points at the other", "one points at the other"), "a person point at the other"),
    "run_flag": (("a person runs with a flag", "somebody runs and holds a flag"), "a person run with a flag"),
    "sweep": (("a person sweeps the ground", "somebody sweeps with a broom"), "a person sweep the ground"),
    "chimney": (("white smoke rises from the roof", "the chimney smokes"), "white smoke rise from the roof"),
}
EVENT_LABELS = {  # as categories of multiple choice, several for each so that a choice is read from the list
    "Arson": ("Fire", "Flames at the wall", "Burning house"),
    "Assault": ("Kick", "Kicking a person"),
    "Burglary": ("Break-in", "Climbing in", "Intruder"),
    "Explosion": ("Blast", "Ball of fire", "Detonation"),
    "Fighting": ("Blows", "Brawl", "Hitting"),
    "RoadAccidents": ("Crash", "Collision", "Car crash"),
    "wave": ("Waving", "Greeting"),
    "jump": ("Jump", "Leaping"),
    "hug": ("Hug", "Embrace"),
    "sit": ("Sitting down", "Rest"),
    "umbrella": ("Umbrella", "Opening an umbrella"),
    "ball": ("Ball game", "Playing ball"),
    "photo": ("Photo", "Taking a picture"),
    "fall": ("Fall", "Stumble"),
    "box": ("Parcel", "Handing over"),
    "dance": ("Dance", "Dancing"),
    "kite": ("Kite", "Flying a kite"),
    "animal_jump": ("Jumping pet", "Leap of an animal"),
    "animal_crouch": ("Petting", "Kneeling before a pet"),
    "bird": ("Bird", "Flying bird"),
    "lightning": ("Lightning", "Thunderstorm"),
    "fireworks": ("Fireworks", "Rockets"),
    "car_lights": ("Car lights", "Flashing car"),
    "door": ("Opening door", "Door"),
    "balloon": ("Balloon", "Holding a balloon"),
    "tie_shoe": ("Tying a shoe", "Shoe"),
    "point": ("Pointing", "Outstretched arm"),
    "run_flag": ("Flag", "Running with a flag"),
    "sweep": ("Sweeping", "Broom"),
    "chimney": ("Smoke", "Chimney"),
}
NO_EVENT = ("Nothing", "Nothing special", "Everyday life", "Quiet scene", "No event", "Usual day")
NOTHING = ("nothing unusual happens", "nothing special happens", "nothing happens")

ASK = {
    "caption": (
        "Describe the video.",
        "What does the video show?",
        "Give a short description of the video.",
        "Tell me what you see in the video.",
    ),
    "car_colour": (
        "What colour is the car that stops second, behind the other?",
        "What colour is the rear car?",
        "Which colour is the car behind?",
    ),
    "parked_colour": (
        "What colour is the parked car?",
        "Which colour is the parked car?",
        "The car in front is parked. What is its colour?",
    ),
    "left_shirt": (
        "What colour is the shirt of the person on the left of the two who meet?",
        "Two people meet. What colour does the left one wear?",
    ),
    "right_shirt": (
        "What colour is the shirt of the person on the right of the two who meet?",
        "Two people meet. What colour does the right one wear?",
    ),
    "hat_shirt": (
        "What colour is the shirt of the person with the hat?",
        "The person with the hat wears which colour?",
        "Which colour does the person with the hat wear?",
    ),
    "bag_shirt": (
        "What colour is the shirt of the person with the bag?",
        "The person with the bag wears which colour?",
        "Which colour does the person with the bag wear?",
    ),
    "bag_colour": ("What colour is the bag?", "Which colour is the bag?"),
    "hat_colour": ("What colour is the hat?", "Which colour is the hat?"),
    "people": ("How many people are there?", "How many people does the video show?", "Count the people in the video."),
    "light": ("Is it day, dusk or night?", "What time of day is it?", "Does it happen by day, at dusk or at night?"),
    "weather": ("What is the weather like?", "How is the weather in the video?", "Is it clear, cloudy, rain or snow?"),
    "building": ("What colour is the house?", "Which colour is the building?", "What colour is the building?"),
    "door_colour": (
        "What colour is the door?",
        "Which colour is the door of the house?",
        "What colour is the door of the building?",
    ),
    "animal": ("Which animal is there?", "What animal do you see?", "Is the animal a dog or a cat?"),
    "animal_colour": ("What colour is the {animal}?", "Which colour is the {animal}?"),
    "animal_action": ("What is the {animal} doing?", "What does the {animal} do?"),
    "car_and_animal": (
        "Name the rear car and the animal.",
        "Which car is behind, and which animal is there?",
        "Which rear car and which animal are there?",
    ),
    "moves": ("What moves besides the people?", "Apart from the people, what moves in the video?"),
    "car_moves": ("Does a car move?", "Is one of the cars moving?", "Does any car drive in the video?"),
    "there_is": ("Is there a {thing}?", "Can you see a {thing}?", "Does the video show a {thing}?"),
    "event_happens": ("What happens?", "What happens in the video?", "Tell me what happens.", "What event is it?"),
    "event_yes_no": ("Do you see {event}?", "Can one see {event}?", "Does the video show {event}?"),
    "event_when": ("When does it happen, in the first or the second half?", "In which half does it happen?"),
}
ACTION_WORDS = {"walk": "it walks", "sit": "it sits", "lie": "it lies on the ground"}
NUMBER_WORDS = {3: "three", 4: "four", 5: "five", 6: "six"}

# Multiple choice in the study's phrasing, about anything but crimes: question kind → task.
CLOSED_TASKS = {
    "car_colour": "Classify the colour of the rear car in the video",
    "parked_colour": "Classify the colour of the parked car in the video",
    "hat_shirt": "Classify the shirt of the person with the hat in the video",
    "bag_shirt": "Classify the shirt of the person with the bag in the video",
    "building": "Classify the colour of the house in the video",
    "light": "Classify the time of day in the video",
    "weather": "Classify the weather in the video",
    "animal": "Classify the animal in the video",
    "animal_action": "Classify what the animal does in the video",
    "people": "Classify the number of people in the video",
}
EVENT_TASKS = (
    "Classify the event in the video",
    "Say what kind of event the clip shows",
    "Find out what goes on here",
    "Name the event that the camera sees",
    "Decide what happens in these frames",
)


# What an event makes doubtful: these scene questions are not asked, and these other events are not denied.
UNASKED = {
    "RoadAccidents": ("moves", "car_moves"),
    "Explosion": ("moves",),
    "Abuse": ("moves", "animal_action"),
    "animal_jump": ("moves", "animal_action"),
    "animal_crouch": ("moves", "animal_action"),
    "door": ("moves",),
    "chimney": ("moves",),
    "Arson": ("moves",),
    "umbrella": ("moves",),
    "run_flag": ("moves",),
}
UNDENIED = {"Assault": ("fall", "Fighting"), "Burglary": ("jump",), "dance": ("jump", "wave"), "Explosion": ("Arson",)}
MOVES_TOO = {"bird": "a bird", "ball": "a ball", "kite": "a kite", "balloon": "a balloon"}
