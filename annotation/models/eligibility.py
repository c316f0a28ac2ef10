"""Who may take part: questions asked before consent to rating, and their answers."""

from django.db import models

from annotation.models.rater import Participation
from annotation.models.study import Study


class ScreeningQuestion(models.Model):
    """A question with a few answers, some of which make a rater eligible."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="screening_questions")
    position = models.PositiveSmallIntegerField()
    text = models.CharField(max_length=300)
    choices = models.JSONField(help_text="The answers to choose from: a list of texts.")
    accepted = models.JSONField(help_text="Those of them that make a rater eligible.")

    class Meta:
        ordering = ["study", "position"]
        constraints = [
            models.UniqueConstraint(
                name="screening_question_position", fields=["study", "position"]
            ),
        ]

    def __str__(self) -> str:
        return self.text


class ScreeningAnswer(models.Model):
    """What a rater answered; once, for whoever may answer again answers until it fits."""

    participation = models.ForeignKey(
        Participation, on_delete=models.CASCADE, related_name="screening_answers"
    )
    question = models.ForeignKey(
        ScreeningQuestion, on_delete=models.CASCADE, related_name="answers"
    )
    choice = models.CharField(max_length=300)
    answered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["participation", "question"]
        constraints = [
            models.UniqueConstraint(
                name="screening_answer_once", fields=["participation", "question"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.question}: {self.choice}"
