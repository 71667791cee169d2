"""Questions about the library itself are told from those about what is in its documents."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.formats import KINDS
from rag.catalog_questions import CatalogQuestion, catalog_question
from rag.catalog_questions.phrases import FORMATS, LANGUAGES, MAILS, WEAK, read_phrases
from rag.days import Days, find_days
from rag.records import Turn

ROOT = Path(__file__).resolve().parent.parent.parent
TODAY = date(2026, 11, 26)  # a Thursday
TRAVEL = (Turn("Which documents do you have on travel?", "8 documents mention it."),)

ABOUT_THE_LIBRARY: dict[str, dict[str, Any]] = {
    # English
    "which documents do you have on travel?": {"wanted": "list", "topic": "travel"},
    "Which documents about travel do you have?": {"wanted": "list", "topic": "travel"},
    "What documents do we have?": {"wanted": "list", "topic": ""},
    "What documents are there about unused leave?": {"wanted": "list", "topic": "unused leave"},
    "Can you tell me which documents you have on the crane?": {"wanted": "list", "topic": "crane"},
    "Which documents mention the KP-150?": {"wanted": "list", "topic": "KP-150"},
    "List all documents.": {"wanted": "list", "topic": ""},
    "list the PDFs in the folder hr": {"wanted": "list", "kinds": ("pdf",), "folder": "hr"},
    "Show me the Word files on travel in the hr/old folder": {
        "wanted": "list",
        "topic": "travel",
        "kinds": ("docx", "doc"),
        "folder": "hr/old",
    },
    "how many documents are there?": {"wanted": "count", "topic": ""},
    "How many documents are in the library?": {"wanted": "count"},
    "How many files are there in the collection board?": {"wanted": "count", "collection": "board"},
    "How many spreadsheets do you have?": {
        "wanted": "count",
        "kinds": ("xlsx", "xls", "ods", "csv"),
    },
    "How many documents mention travel?": {"wanted": "count", "topic": "travel"},
    "what is the newest document?": {"wanted": "newest", "many": False},
    "Show me the latest documents": {"wanted": "newest", "many": True},
    "Which document was changed last?": {"wanted": "newest", "many": False},
    "What is the oldest document about pumps?": {"wanted": "oldest", "topic": "pumps"},
    "do you have the leave policy?": {
        "wanted": "exists",
        "topic": "leave policy",
        "titled": True,
    },
    "Do you have the minutes of the board meeting in May?": {
        "wanted": "exists",
        "topic": "minutes of the board meeting in May",
    },
    "Do you have any documents on Llama 2?": {"wanted": "exists", "topic": "Llama 2"},
    "Do you have the documents on travel?": {"wanted": "exists", "topic": "travel"},
    "Is there a document about safety?": {"wanted": "exists", "topic": "safety", "titled": False},
    "Is there a document called “Travel policy”?": {
        "wanted": "exists",
        "topic": "Travel policy",
        "titled": True,
    },
    "Do you have the latest travel policy for managers?": {
        "wanted": "exists",
        "topic": "travel policy for managers",
        "titled": True,
        "shorter": "travel policy",
    },
    "Do you have the contract with Acme?": {"topic": "contract with Acme", "shorter": ""},
    "Which documents mention the word “leave”?": {"topic": "leave", "sure": False},
    "Which documents do you have on the “travel policy” of Oslo?": {
        "topic": "travel policy of Oslo",
        "sure": True,
    },
    "Do you have any documents on first aid?": {"wanted": "exists", "topic": "first aid"},
    "How many documents are in the library about sharks?": {"topic": "sharks", "sure": True},
    "List the files in the config directory": {"folder": "config", "sure": False},
    "Is the travel policy in the library?": {"wanted": "exists", "titled": True},
    "what changed since Monday?": {"wanted": "list", "since": "2026-11-23", "until": ""},
    "What's new since yesterday?": {"wanted": "list", "since": "2026-11-25"},
    "Which documents were added this week?": {
        "wanted": "list",
        "since": "2026-11-23",
        "until": "2026-11-26",
    },
    "List the documents changed since 1 March": {"wanted": "list", "since": "2026-03-01"},
    "What file types do you have?": {"wanted": "kinds", "sure": True},
    "What kinds of documents are there?": {"wanted": "kinds"},
    "Hi, what can you do?": {"wanted": "purpose"},
    "Which document is the longest?": {"wanted": "longest", "many": False},
    "Do you have any PDFs?": {"wanted": "exists", "kinds": ("pdf",), "sure": True},
    "Are there any mails?": {"wanted": "exists", "kinds": MAILS, "doubtful": True},
    "How many mails are there?": {"wanted": "count", "kinds": MAILS, "doubtful": True},
    "How many mails do you have?": {"wanted": "count", "kinds": MAILS, "doubtful": False},
    "What is the newest mail?": {"wanted": "newest", "kinds": MAILS, "many": False},
    "Which mails are from Jonas Brandt?": {
        "wanted": "list",
        "kinds": MAILS,
        "sender": "Jonas Brandt",
        "sure": False,
    },
    "Which mails do you have from the auditor about the crane?": {
        "topic": "crane",
        "sender": "auditor",
        "sure": True,
    },
    "Which mails did jonas@example.org send?": {"sender": "jonas@example.org"},
    "Which documents are in German?": {"wanted": "list", "written": "de", "doubtful": True},
    "Which documents do you have on leave in English?": {
        "topic": "leave",
        "written": "en",
        "sure": True,
    },
    "What's new?": {"wanted": "newest", "many": True, "since": ""},
    "Which documents are from 2025?": {
        "wanted": "list",
        "since": "2025-01-01",
        "until": "2025-12-31",
        "dated": True,
    },
    "Which documents do you have from last week?": {"since": "2026-11-16", "dated": True},
    "In which documents is Vitrex mentioned?": {"topic": "Vitrex", "sure": False},
    "Which documents contain the word Schmidt?": {"topic": "Schmidt", "sure": False},
    "Do we have a policy on data retention?": {
        "wanted": "exists",
        "topic": "policy on data retention",
        "titled": True,
        "sure": False,
    },
    "Is there a policy on remote work?": {"topic": "policy on remote work", "sure": False},
    # German
    "Welche Dateitypen hast du?": {"wanted": "kinds"},
    "Was für Dokumente gibt es?": {"wanted": "kinds"},
    "Was kannst du alles?": {"wanted": "purpose"},
    "Welches Dokument ist am längsten?": {"wanted": "longest"},
    "Habt ihr PDFs?": {"wanted": "exists", "kinds": ("pdf",)},
    "Wie viele Mails gibt es?": {"wanted": "count", "kinds": MAILS},
    "Welche E-Mail ist die neueste?": {"wanted": "newest", "kinds": MAILS, "many": False},
    "Welche Mails sind von Jonas Brandt?": {"sender": "Jonas Brandt"},
    "Welche Dokumente sind auf Englisch?": {"written": "en", "doubtful": True},
    "Welche Dokumente hast du über Urlaub auf Englisch?": {"topic": "Urlaub", "written": "en"},
    "Was gibt es Neues?": {"wanted": "newest"},
    "Welche Dokumente stammen aus dem Jahr 2025?": {"since": "2025-01-01", "dated": True},
    "In welchen Dokumenten wird Vitrex erwähnt?": {"topic": "Vitrex"},
    "Welche Dokumente enthalten das Wort „Schmidt“?": {"topic": "Schmidt"},
    "Haben wir eine Richtlinie zu Geschenken?": {
        "topic": "Richtlinie zu Geschenken",
        "titled": True,
        "sure": False,
    },
    "Welche Dokumente hast du zum Thema Reisen?": {"wanted": "list", "topic": "Reisen"},
    "Welche Dokumente zu Reisen haben wir?": {"wanted": "list", "topic": "Reisen"},
    "Welche Unterlagen gibt es über den Urlaub?": {"wanted": "list", "topic": "Urlaub"},
    "Wie viele Dokumente gibt es?": {"wanted": "count"},
    "Wie viele PDF-Dateien sind im Ordner hr?": {
        "wanted": "count",
        "kinds": ("pdf",),
        "folder": "hr",
    },
    "Was ist das neueste Dokument?": {"wanted": "newest", "many": False},
    "Welches Dokument ist am ältesten?": {"wanted": "oldest"},
    "Hast du die Reiserichtlinie?": {
        "wanted": "exists",
        "topic": "Reiserichtlinie",
        "titled": True,
    },
    "Haben Sie die aktuelle Reiserichtlinie für Führungskräfte?": {
        "topic": "Reiserichtlinie für Führungskräfte",
        "shorter": "Reiserichtlinie",
    },
    "Was hat sich seit Montag geändert?": {"wanted": "list", "since": "2026-11-23"},
    # French
    "Quels types de documents avez-vous ?": {"wanted": "kinds"},
    "Que pouvez-vous faire ?": {"wanted": "purpose"},
    "Quel document est le plus long ?": {"wanted": "longest"},
    "Y a-t-il des PDF ?": {"wanted": "exists", "kinds": ("pdf",)},
    "Combien de mails y a-t-il ?": {"wanted": "count", "kinds": MAILS},
    "Quel est le mail le plus récent ?": {"wanted": "newest", "kinds": MAILS},
    "Quels mails sont de Jonas Brandt ?": {"sender": "Jonas Brandt"},
    "Quels documents sont en français ?": {"written": "fr", "doubtful": True},
    "Quoi de neuf ?": {"wanted": "newest"},
    "Quels documents datent de 2025 ?": {"since": "2025-01-01", "dated": True},
    "Dans quels documents Vitrex est-il mentionné ?": {"topic": "Vitrex"},
    "Dans quels documents est mentionné Vitrex ?": {"topic": "Vitrex"},
    "Quels documents contiennent le mot Schmidt ?": {"topic": "Schmidt"},
    "Avons-nous une politique sur les cadeaux ?": {"titled": True, "sure": False},
    "Quels documents avez-vous sur les voyages ?": {"wanted": "list", "topic": "voyages"},
    "Combien de documents y a-t-il ?": {"wanted": "count"},
    "Quel est le document le plus récent ?": {"wanted": "newest"},
    "Avez-vous le règlement intérieur ?": {"wanted": "exists", "topic": "règlement intérieur"},
    "Liste les documents dans le dossier hr": {"wanted": "list", "folder": "hr"},
    "Qu’est-ce qui a changé depuis lundi ?": {"wanted": "list", "since": "2026-11-23"},
    "Avez-vous la politique de voyage pour les cadres ?": {"shorter": "politique de voyage"},
    # Spanish
    "¿Qué tipos de documentos tienes?": {"wanted": "kinds"},
    "¿Qué puedes hacer?": {"wanted": "purpose"},
    "¿Qué hay de nuevo?": {"wanted": "newest"},
    "¿Cuántos correos hay?": {"wanted": "count", "kinds": MAILS},
    "¿Qué documentos están en alemán?": {"written": "de"},
    "¿Qué documentos tienes sobre viajes en inglés?": {"topic": "viajes", "written": "en"},
    "¿Qué documentos tienes sobre viajes?": {"wanted": "list", "topic": "viajes"},
    "¿Cuántos documentos hay?": {"wanted": "count"},
    "¿Cuál es el documento más antiguo?": {"wanted": "oldest"},
    "¿Tienes la política de viajes?": {"wanted": "exists", "topic": "política de viajes"},
    "¿Qué ha cambiado desde el lunes?": {"wanted": "list", "since": "2026-11-23"},
    # Italian
    "Che tipi di file avete?": {"wanted": "kinds"},
    "Che cosa sai fare?": {"wanted": "purpose"},
    "Ci sono novità?": {"wanted": "newest"},
    "Quante mail ci sono?": {"wanted": "count", "kinds": MAILS},
    "Quali documenti sono in tedesco?": {"written": "de"},
    "Quali documenti hai sui viaggi?": {"wanted": "list", "topic": "viaggi"},
    "Quanti documenti ci sono?": {"wanted": "count"},
    "Qual è il documento più recente?": {"wanted": "newest"},
    "Hai il contratto con Brightwater?": {"wanted": "exists", "topic": "contratto con Brightwater"},
    "Cosa è cambiato da lunedì?": {"wanted": "list", "since": "2026-11-23"},
}

ABOUT_CONTENTS = """
Which documents do I need for a visa?
How many documents must be signed?
which documents must a traveller hand in?
Which documents do you have to hand in?
Which documents do we have to sign before Monday?
Which documents have you signed?
Which documents do you have on you?
Which documents do you have on hand?
Which documents are needed about the pump?
Which documents should be in the folder?
Which documents on travel must be signed?
What documents are required for the application?
What documents are kept in the safe?
Which documents does the customer get?
List the documents that a new employee must sign.
List the documents required for a visa.
Show me the way to the canteen.
How many documents are there in the archive of the court?
How many files can I upload?
How many pages does the handbook have?
How many presentations are there?
How many images are there?
How many emails do we get?
How many reports of wrongdoing came in during 2023?
What is the oldest document in the National Archives?
What is the newest document in the tender?
What is the newest vehicle?
What is the latest date for claims?
Who signs the documents?
Do you have the right to sign the contract?
Do you have the authority to sign the agreement?
Do you have the contract signed before the work starts?
Do you have to sign the policy?
Do you have a dress code?
Is there a fee for documents?
What changed in the travel policy since 2024?
What changed since 2024?
What has changed since the last edition?
What is new in hall 2?
Which files are on the list?
How many documents are there on the list?
How many documents on the board's table?
Which documents do we have on the agenda?
Which documents are about 10 pages long?
What is the oldest document on the list?
Do you have the contract in writing?
Do you have the documents for the visa?
Do you have the file number?
Do you have the report with you?
What was added in March?
What's new today?
What has changed since last year?
What has changed since January?
What documents do you have about to expire?
How many documents are there on average?
How many files do we have on the server?
Which documents do we have on arrival?
Do you have the documents?
Do you have the minutes to spare?
How many presentations do we have on Friday?
How many documents do you have in your bag?
What do you have on Fridays?
How many documents, and who signs them?
Welche Dokumente brauche ich für ein Visum?
Welche Unterlagen muss ich einreichen?
Welche Dokumente haben Sie zu unterschreiben?
Welche Unterlagen gibt es vom Arzt?
Wie viele Dokumente müssen unterschrieben werden?
Wie viele Unterlagen sind einzureichen?
Haben Sie den Vertrag unterschrieben?
Gibt es einen Zuschuss für Möbel?
Was hat sich in der Richtlinie geändert?
Welche Unterlagen haben wir zur Hand?
Welche Dokumente gibt es über 10 Seiten?
Haben Sie die Unterlagen von gestern?
Welche Unterlagen gibt es zum Ausfüllen?
Welche Dokumente haben wir zu Hause?
Quels documents avez-vous sur vous ?
Quels documents avez-vous sur le serveur ?
Quels documents y a-t-il sur la liste ?
Quels documents dois-je fournir ?
Quels documents faut-il pour un visa ?
Quels sont les documents à fournir ?
Combien de documents faut-il signer ?
Avez-vous un budget pour les voyages ?
¿Qué documentos hay que presentar?
¿Qué documentos necesito para un visado?
¿Cuántos documentos hay que firmar?
¿Tiene el contrato una cláusula de penalización?
Quali documenti servono per il visto?
Quali documenti devo presentare?
Quanti documenti bisogna firmare?
Hai firmato il contratto?
Which documents on safety apply to contractors?
Which documents about insurance contain the limit?
Which documents about travel expired?
How many documents on customs accompany the goods?
How many files on average per case?
How many documents on a pallet?
Which documents on travel?
Is there a document about parking signed by the landlord?
Are there any documents on file for the tenant?
Which documents are in the folder of the customer?
Welche Unterlagen zum Antrag?
Welche Unterlagen zur Steuererklärung?
Welche Dokumente über Brandschutz gelten für Besucher?
Wie viele Unterlagen zum Antrag fehlen?
Quels documents sur la table ?
Which documents do you have on travel or leave?
Which documents do you have on both leave and travel?
Which documents do you have on anything other than travel?
Which documents do you have on leave except in March?
Which documents do you have on leave and summarise the first?
Which documents do you have on leave, newest first?
Which documents do you have on leave from 2024?
Which documents do you have on the budget of 2024?
Welche Dokumente hast du über Reisen oder Urlaub?
Welche Dokumente hast du über Reisen ohne Flug?
Quels documents avez-vous sur les voyages ou les congés ?
Quali documenti hai sui viaggi del 2024?
Which file types may be attached to a claim?
What file types do you accept?
Which file formats do we have to use?
Which file types are allowed?
What kinds of documents are there in the tender?
What kinds of documents do I need?
What kinds of documents do you have to keep?
What kind of document is a waybill?
What types of leave do you have?
What is new in the travel policy?
What is new about the crane?
What is new in version 2?
What's new with Brandt?
Is there anything new in the contract?
Which contracts are in German law?
Which documents are in German law?
Which documents must be in English?
Which documents are in English and French?
Which documents are in force?
Which documents are in order?
Which documents have to be in German?
Which documents are accepted in German?
Which documents are from the landlord?
Which documents are from the customer in 2025?
Which wines are from 2025?
Which documents from 2025 must be kept?
Which invoices are from 2025?
What can you do against phishing?
What can you do if the train is late?
What can you do with a season ticket?
What can you do on a Sunday?
What can I do?
What can we do about noise?
How can you help a colleague?
Who are you supposed to call?
Which mails are archived for ten years?
Which mails are from customers and must be archived?
Which emails must be answered within a day?
Which mails may be deleted?
How many mails are sent a day?
How many mails are there in a campaign?
How many e-mails are there per customer?
How many mails are from phishing attacks a year?
What is the newest mail server?
Which document is the longest valid?
Which contract is the longest?
What is the longest notice period?
What is the longest document in the tender?
Which letters are from Jonas Brandt?
Which documents are from Jonas Brandt?
Which mails did you send?
In which documents is the price agreed?
In which documents must the number be mentioned?
In which document is it mentioned?
Which people are mentioned in the minutes?
Which documents contain the limit?
Which documents contain the signature of the director?
Which documents contain personal data?
Do we have a canteen?
Do we have a policy?
Do we have a contract?
Do we have a list?
Is there a form?
Is there a form of insurance?
Do we have a manager on duty?
Do we have a policy that covers hail?
Do we have a contract signed by both sides?
Do you have a minute?
Do you have minutes to spare?
Is there a limit in the contract?
Is there a report due in May?
Do we have to sign the policy?
Do you have PDFs to sign?
Do you have any mails to answer?
Are there any images in the report?
Are there any presentations on Friday?
Do you have a photo of the applicant?
Do you have a presentation?
Welche Dateitypen darf man an eine Meldung anhängen?
Welche Dateiformate sind erlaubt?
Welche Arten von Dokumenten gibt es im Vergabeverfahren?
Welche Arten von Urlaub gibt es?
Was für Unterlagen brauche ich?
Was für Unterlagen sind einzureichen?
Was ist neu in der Reiserichtlinie?
Was gibt es Neues beim Urlaub?
Was gibt es Neues vom Kran?
Welche Verträge sind auf Deutsch?
Welche Dokumente sind auf Englisch einzureichen?
Welche Dokumente müssen auf Deutsch sein?
Welche Dokumente sind in deutschem Recht?
Was kannst du gegen Phishing tun?
Was kann man tun?
Was können wir tun?
Was können Sie gegen Lärm tun?
Welche Mails werden zehn Jahre aufbewahrt?
Welche E-Mails sind zu löschen?
Wie viele Mails gibt es pro Tag?
Wie viele E-Mails sind erlaubt?
Welche Dokumente sind vom Arzt?
Welche Unterlagen sind von 2025 an nötig?
Welche Rechnungen sind aus 2025?
In welchen Dokumenten muss die Nummer genannt werden?
Welche Dokumente enthalten die Unterschrift?
Welche Dokumente enthalten das Wort nicht?
Haben wir eine Kantine?
Haben wir einen Vertrag?
Gibt es eine Richtlinie?
Gibt es einen Bericht?
Gibt es eine Liste der Lieferanten, die gesperrt sind?
Gibt es einen Vertrag, der gekündigt wurde?
Haben wir einen Vertrag unterschrieben?
Welches Dokument ist am längsten gültig?
Was ist die längste Kündigungsfrist?
Quels types de fichiers peut-on joindre à une demande ?
Quels types de documents faut-il ?
Quels types de documents y a-t-il dans le dossier de candidature à remettre ?
Quoi de neuf dans la politique de voyage ?
Qu'y a-t-il de nouveau dans le contrat ?
Quels contrats sont en droit français ?
Quels documents sont en droit français ?
Quels documents sont en règle ?
Quels documents doivent être en anglais ?
Que pouvez-vous faire contre le hameçonnage ?
Que peut-on faire ?
Que faire en cas de vol ?
Quels mails sont archivés dix ans ?
Combien de mails faut-il garder ?
Combien de mails y a-t-il par jour ?
Quels documents sont du médecin ?
Quels documents sont de rigueur ?
Quels documents contiennent la signature ?
Dans quels documents le prix est-il convenu ?
Avons-nous une cantine ?
Avons-nous un contrat ?
Y a-t-il une liste ?
Avons-nous un contrat qui couvre la grêle ?
Quel est le dernier document à fournir ?
Quel est le dernier délai ?
Quel est le préavis le plus long ?
¿Qué tipos de archivos se pueden adjuntar?
¿Qué hay de nuevo en el contrato?
¿Tenemos comedor?
Quali tipi di file si possono allegare?
Cosa c'è di nuovo nel contratto?
Abbiamo una mensa?
What can you do for the environment?
What can I ask for in an appraisal?
What can we ask the landlord?
Who are you allowed to invite?
How can you help me move house?
Which documents are in Russian and who translates them?
Which documents are written in German and English?
Which documents are available in English on request?
Which documents in English must be translated?
How many documents are in German translation?
Do you have any documents in the safe?
Do you have any PDFs open?
Do we have any mails from the tax office that must be kept?
Are there any mails from the court to be answered?
Which mails are from outside the company and dangerous?
What is the latest mail collection?
What is the newest mail about the crane that was answered?
What is the longest document we can upload?
Which file is the longest to load?
What file types can I upload?
What file formats does the portal accept?
What kinds of files are there in a backup?
Which types of documents are available to members?
What types of documents are in the archive?
Is there a form for the refund of travel costs that must be signed?
Is there a list price for the pump?
Do we have a contract for the pump that expires in May?
Is there a handbook allowance?
Do we have a manual override?
Is there a procedure to follow?
Is there a guide dog policy for the office and who approves it?
Do we have a report to file?
Is there a minimum order quantity?
Is there a policy number?
Do we have a list of what to bring?
Which documents were from Jonas?
Which documents contain the word and expire?
In which documents were the errors corrected?
In which documents are you named?
What is new here in the canteen?
What's new for 2025?
What is new about remote work in the agreement?
Is there anything new to sign?
Was ist neu für 2025?
Was gibt es Neues zu unterschreiben?
Was können Sie mir über den Kran sagen?
Was kannst du mir über den Kran sagen?
Wer bist du verpflichtet zu informieren?
Welche Dokumente sind in englischer Sprache vorzulegen?
Welche Dateien sind am längsten aufzubewahren?
Haben wir Mails vom Finanzamt zu beantworten?
Gibt es Mails, die gelöscht werden?
Gibt es eine Liste?
Gibt es eine Hausordnung?
Welche Arten von Dokumenten sind aufzubewahren?
Was für Dateien darf ich hochladen?
Quels documents sont en vigueur ?
Quels documents sont en anglais et en français ?
Quels documents sont de nature confidentielle ?
Quels documents sont du ressort du service juridique ?
Y a-t-il un guide pour remplir le formulaire qui est obligatoire ?
Y a-t-il du nouveau dans le contrat ?
Qui êtes-vous tenu d'informer ?
Que puis-je demander à mon employeur ?
Quels fichiers sont les plus longs à charger ?
¿Hay un formulario que debo firmar?
¿Qué documentos son de obligado cumplimiento?
¿Hay documentos en papel?
Quali documenti sono di proprietà del cliente?
""".strip().splitlines()


@pytest.mark.parametrize("question", ABOUT_THE_LIBRARY)
def test_a_question_about_the_library_is_understood(question: str) -> None:
    found = catalog_question(question, today=TODAY)
    assert found is not None
    expected = ABOUT_THE_LIBRARY[question]
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize("question", ABOUT_CONTENTS)
def test_a_question_about_contents_is_none(question: str) -> None:
    assert catalog_question(question, today=TODAY) is None
    assert catalog_question(question, TRAVEL, TODAY) is None


def test_no_question_of_the_samples_is_one() -> None:
    lines = (ROOT / "sample_docs" / "questions.jsonl").read_text("utf-8").splitlines()
    taken = []
    for line in lines:
        item = json.loads(line)
        history = [Turn(**turn) for turn in item.get("history") or ()]
        if catalog_question(item["question"], history, TODAY):
            taken.append(item["question"])
    assert len(lines) > 300
    assert taken == []


@pytest.mark.parametrize(
    ("question", "changed"),
    [
        ("and on leave?", {"topic": "leave"}),
        ("And leave?", {"topic": "leave"}),
        ("what about unused leave?", {"topic": "unused leave"}),
        ("And in the folder hr?", {"topic": "travel", "folder": "hr"}),
        ("and since Monday?", {"topic": "travel", "since": "2026-11-23"}),
    ],
)
def test_a_follow_up_asks_the_same_of_something_else(
    question: str, changed: dict[str, str]
) -> None:
    found = catalog_question(question, TRAVEL, TODAY)
    assert found is not None
    assert found.wanted == "list"
    assert {name: getattr(found, name) for name in changed} == changed
    # along the chain, and only after a question about the library
    longer = (*TRAVEL, Turn("and on pumps?", "…"))
    again = catalog_question(question, longer, TODAY)
    assert again is not None
    assert again.topic == changed["topic"].replace("travel", "pumps")
    assert catalog_question(question, (Turn("Who approves travel?", "…"),), TODAY) is None


@pytest.mark.parametrize(
    "question",
    [
        "And for managers?",
        "And in Copenhagen?",
        "And who approves it?",
        "What about it?",
        "Why?",
        "And the newest?",
        "And the second one?",
        "And summarise the first?",
        "And thanks?",
    ],
)
def test_a_follow_up_on_contents_is_none(question: str) -> None:
    assert catalog_question(question, TRAVEL, TODAY) is None


@pytest.mark.parametrize(
    ("before", "question"),
    [
        ("Do you have the travel policy?", "and the daily rate?"),
        ("Do you have the travel policy?", "What about hotels?"),
        ("Do you have the travel policy?", "And the notice period?"),
        ("Do you have the travel policy?", "And on weekends?"),
        ("Do you have the travel policy?", "And since Monday?"),
        ("Is there a document about travel?", "And hotels?"),
        ("Haben Sie die Reiserichtlinie?", "Und die Tagessätze?"),
        ("Welche Dokumente hast du zum Thema Reisen?", "Und das neueste?"),
        ("Avez-vous le règlement intérieur ?", "Et les congés ?"),
    ],
)
def test_what_follows_a_document_asked_for_is_about_what_it_says(
    before: str, question: str
) -> None:
    assert catalog_question(before, (), TODAY) is not None
    assert catalog_question(question, (Turn(before, "…"),), TODAY) is None


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("And in the folder hr?", {"topic": "travel policy", "folder": "hr"}),
        ("And in the collection board?", {"topic": "travel policy", "collection": "board"}),
        ("and a document about leave?", {"topic": "leave", "titled": False}),
        ("and the leave policy?", {"topic": "leave policy", "titled": True}),
    ],
)
def test_a_follow_up_asks_for_another_document(question: str, expected: dict[str, Any]) -> None:
    history = (Turn("Do you have the travel policy?", "Yes: 1 document …"),)
    found = catalog_question(question, history, TODAY)
    assert found is not None
    assert found.wanted == "exists"
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("before", "question", "expected"),
    [
        ("Which documents are in German?", "And in French?", {"written": "fr", "wanted": "list"}),
        ("Which mails are from Ada?", "and from Jonas?", {"sender": "Jonas", "kinds": MAILS}),
        ("Which mails are from Ada?", "and from Ada von Berg?", {"sender": "Ada von Berg"}),
        (
            "Which documents are from 2025?",
            "and from 2024?",
            {"since": "2024-01-01", "dated": True},
        ),
        ("What file types do you have?", "and in the folder hr?", {"folder": "hr"}),
        ("Which documents do you have on travel?", "And in French?", None),
        ("Which documents do you have on travel?", "And from Jonas?", None),
        ("What can you do?", "and in the folder hr?", None),
        ("What file types do you have?", "and on travel?", None),
    ],
)
def test_a_follow_up_goes_on_with_what_was_asked(
    before: str, question: str, expected: dict[str, Any] | None
) -> None:
    found = catalog_question(question, (Turn(before, "…"),), TODAY)
    assert (found is None) == (expected is None)
    for name, value in (expected or {}).items():
        assert getattr(found, name) == value


@pytest.mark.parametrize("question", ["What's new?", "What can you do?", "Was gibt es Neues?"])
def test_after_a_question_about_contents_it_means_those(question: str) -> None:
    contents = (Turn("What does version 2 of the travel policy say?", "…"),)
    assert catalog_question(question, contents, TODAY) is None
    assert catalog_question(question, (*contents, *TRAVEL), TODAY) is not None
    assert catalog_question(question, (), TODAY) is not None


def test_a_bare_follow_up_is_not_sure() -> None:
    sure = [catalog_question(text, TRAVEL, TODAY) for text in ("And leave?", "And on leave?")]
    assert [asked and asked.sure for asked in sure] == [False, True]


@pytest.mark.parametrize("zone", ["Etc/GMT-14", "Etc/GMT+12"])
def test_today_is_the_day_that_the_catalog_dates_by(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # in one of these zones it is another day than in UTC at any time
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        day = datetime.now(UTC).date()
        asked = catalog_question("What's new since today?")
    time.tzset()
    assert asked is not None
    assert date.fromisoformat(asked.since) - day in (timedelta(0), timedelta(1))
    assert asked.since == day.isoformat() or datetime.now(UTC).date() != day


def test_a_follow_up_in_its_language() -> None:
    history = (Turn("Welche Dokumente hast du zum Thema Reisen?", "…"),)
    assert catalog_question("Und über Urlaub?", history, TODAY) == CatalogQuestion(
        "list", "de", "Urlaub"
    )


def test_the_phrases_name_kinds_that_there_are() -> None:
    named = {kind for kinds in (*FORMATS.values(), *WEAK.values()) for kind in kinds}
    assert named <= set(KINDS)
    for language in LANGUAGES:
        assert read_phrases(language).frames


def test_whatever_is_asked_is_read_quickly() -> None:
    chosen = random.Random(4)
    words = (
        "which documents do you have on in the folder since here ¿? ß İ ŉ \ud800 👩‍👩 ’ \x00".split(
            " "
        )
    )
    for _ in range(500):
        catalog_question(" ".join(chosen.choices(words, k=chosen.randint(0, 60))), TRAVEL)
    hard = (
        "list documents on a here in the folder b since monday in the collection c " + "here " * 40
    )
    for question in (hard, "which documents " + "on a " * 60, "what is new since " + "may " * 60):
        begun = time.perf_counter()
        catalog_question(question[:300])
        assert time.perf_counter() - begun < 2


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("today", "2026-11-26", "2026-11-26"),
        ("monday", "2026-11-23", "2026-11-23"),
        ("donnerstag", "2026-11-26", "2026-11-26"),
        ("last week", "2026-11-16", "2026-11-22"),
        ("this month", "2026-11-01", "2026-11-26"),
        ("the last 7 days", "2026-11-19", "2026-11-26"),
        ("2026-02-28", "2026-02-28", "2026-02-28"),
        ("1.3.2026", "2026-03-01", "2026-03-01"),
        ("1 march", "2026-03-01", "2026-03-01"),
        ("24. dezember", "2025-12-24", "2025-12-24"),
        ("march 1st, 2025", "2025-03-01", "2025-03-01"),
        ("1er fevrier 2024", "2024-02-01", "2024-02-01"),
        ("el lunes", "2026-11-23", "2026-11-23"),
        ("la semaine derniere", "2026-11-16", "2026-11-22"),
        ("questa settimana", "2026-11-23", "2026-11-26"),
        ("december", "2025-12-01", "2025-12-31"),
        ("last thursday", "2026-11-19", "2026-11-19"),
        ("letzten donnerstag", "2026-11-19", "2026-11-19"),
        ("jeudi dernier", "2026-11-19", "2026-11-19"),
        ("this thursday", "2026-11-26", "2026-11-26"),
        ("last wednesday", "2026-11-25", "2026-11-25"),
        ("29 february", "2024-02-29", "2024-02-29"),
    ],
)
def test_days_are_read(text: str, first: str, last: str) -> None:
    found = find_days(text, TODAY)
    assert found is not None
    assert replace(found, vague=False) == Days(date.fromisoformat(first), date.fromisoformat(last))
    assert found.vague == (text in ("this month", "december"))


@pytest.mark.parametrize(
    "text", ["", "30 february", "29 february 2025", "2026-13-01", "the last edition", "someday"]
)
def test_what_names_no_day_is_none(text: str) -> None:
    assert find_days(text, TODAY) is None
