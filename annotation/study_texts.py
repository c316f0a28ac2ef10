"""What a new study says to raters until its researcher says it better."""

from annotation.models import Modality

QUESTIONS = {Modality.IMAGE: "Does this image contain:", Modality.TEXT: "Does this text contain:"}
CONSENT = """\
You are invited to take part in a research study on how people recognise concepts in images and \
texts. You will be shown items and asked whether a named concept is present in each of them.

Taking part is voluntary. You may stop at any time, and answers that you have not handed in are \
not used. The items are everyday material; we know of no risk beyond that of using a computer.

We store your answers, the time that each took, and a pseudonym made from your panel id, if you \
came through a panel. We do not store your name, address or e-mail. The answers may be published \
for research without anything that could identify you.

By choosing "I agree" you confirm that you are at least 18 years old, that you have read this text \
and that you take part of your own free will."""
INSTRUCTIONS = """\
Answer "present" when the concept is visible, also when it is small, partly hidden or in the \
background. Answer "absent" when you do not see it. Choose "cannot tell" only when the item does \
not show enough to decide."""
